"""Operators of the console, without their passwords."""

from collections.abc import Iterable
from typing import Literal, Self
from uuid import UUID

from pims_pipeline.store.operators.accounts import Operator
from pims_pipeline.wire.shape import Model, Timestamp


class RoleDocument(Model):
    """A role of an operator; ``clinic`` is null for all clinics."""

    role: Literal["viewer", "operator", "admin"]
    clinic: str | None


class OperatorDocument(Model):
    """An operator."""

    id: UUID
    name: str
    roles: list[RoleDocument]
    has_password: bool
    is_active: bool
    created_at: Timestamp

    @classmethod
    def of(cls, operator: Operator) -> Self:
        """Build it from a stored operator."""
        return cls(
            id=operator.id,
            name=operator.name,
            roles=[
                RoleDocument(role=each.role.value, clinic=each.clinic) for each in operator.roles
            ],
            has_password=operator.has_password,
            is_active=operator.is_active,
            created_at=operator.created_at,
        )


class OperatorList(Model):
    """Operators by name."""

    operators: list[OperatorDocument]

    @classmethod
    def of(cls, found: Iterable[Operator]) -> Self:
        """Build it from stored operators."""
        return cls(operators=[OperatorDocument.of(each) for each in found])
