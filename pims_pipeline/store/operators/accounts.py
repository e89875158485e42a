"""Operators and their roles as rows. Works as the owner of the tables, as the command line does.

Passwords are hashed in ``operations/operators/``; sign-ins belong in ``sign_ins``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline.store.tables.operators import operator_roles, operator_sign_ins, operators


class UnknownOperator(UserFacingError):
    """No active operator has that name."""


class OperatorExists(UserFacingError):
    """An active operator has that name already."""


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role of an operator, for the clinic with that slug, or for all clinics if it is None."""

    role: OperatorRole
    clinic: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator, active or removed. Times are aware UTC.

    Attributes:
        has_password: False for one whom only an identity proxy signs in.
        roles: The one for all clinics first, then by slug.
    """

    id: UUID
    name: str
    has_password: bool
    is_active: bool
    created_at: datetime
    roles: Sequence[HeldRole] = field(default=())


def add_operator(connection: Connection, name: str, password_hash: str | None) -> UUID:
    """Add an operator without roles, or add a removed one again.

    Raises:
        OperatorExists: If an active operator has that name.
    """
    added = insert(operators).values(name=name, password_hash=password_hash)
    id_ = connection.scalar(
        added.on_conflict_do_update(
            index_elements=[operators.c.name],
            set_={"password_hash": password_hash, "is_active": True, "updated_at": func.now()},
            where=~operators.columns.is_active,
        ).returning(operators.c.id)
    )
    if id_ is None:
        raise OperatorExists(
            f"there is an operator {name}; `pims operators password {name}` sets a password, "
            f"`pims operators roles {name}` the roles"
        )
    return UUID(bytes=id_.bytes)


def operator_by_name(connection: Connection, name: str) -> Operator:
    """The active operator with that name.

    Raises:
        UnknownOperator: If there is none.
    """
    found = [each for each in list_operators(connection, name) if each.is_active]
    if not found:
        raise UnknownOperator(f"there is no operator {name}; `pims operators list` shows them")
    return found[0]


def list_operators(connection: Connection, name: str | None = None) -> list[Operator]:
    """The operators by name, or the one with that name; removed ones too."""
    wanted = select(operators).order_by(operators.c.name)
    if name is not None:
        wanted = wanted.where(operators.c.name == name)
    roles = _roles(connection)
    return [
        Operator(
            id=row.id,
            name=row.name,
            has_password=row.password_hash is not None,
            is_active=row.is_active,
            created_at=row.created_at,
            roles=roles.get(row.id, ()),
        )
        for row in connection.execute(wanted)
    ]


def _roles(connection: Connection) -> dict[UUID, list[HeldRole]]:
    found: dict[UUID, list[HeldRole]] = {}
    rows = connection.execute(
        select(operator_roles.c.operator_id, operator_roles.c.role, clinics.c.slug)
        .outerjoin(clinics, clinics.c.id == operator_roles.c.clinic_id)
        .order_by(clinics.c.slug.nulls_first())
    )
    for row in rows:
        held = HeldRole(OperatorRole(row.role), row.slug)
        found.setdefault(row.operator_id, []).append(held)
    return found


def put_role(
    connection: Connection, operator_id: UUID, role: OperatorRole, clinic: Clinic | None
) -> None:
    """Give the operator the role for the clinic, or for all clinics, in place of a former one."""
    added = insert(operator_roles).values(
        operator_id=operator_id, clinic_id=clinic.id if clinic else None, role=role
    )
    connection.execute(
        added.on_conflict_do_update(
            constraint="uq_operator_roles_operator_id_clinic_id",
            set_={"role": added.excluded.role},
        )
    )


def drop_role(connection: Connection, operator_id: UUID, clinic: Clinic | None) -> bool:
    """Take away the role for the clinic, or for all clinics; return whether there was one."""
    is_same = operator_roles.c.clinic_id.is_not_distinct_from(clinic.id if clinic else None)
    dropped = connection.execute(
        delete(operator_roles).where(operator_roles.c.operator_id == operator_id, is_same)
    )
    return dropped.rowcount > 0


def set_password_hash(connection: Connection, operator_id: UUID, password_hash: str) -> None:
    """Replace the password, and end all sign-ins of the operator."""
    connection.execute(
        update(operators)
        .where(operators.c.id == operator_id)
        .values(password_hash=password_hash, updated_at=func.now())
    )
    end_sign_ins(connection, operator_id)


def deactivate_operator(connection: Connection, operator_id: UUID) -> None:
    """Remove an operator: no sign-in, no roles, no password. The log keeps the name."""
    connection.execute(
        update(operators)
        .where(operators.c.id == operator_id)
        .values(is_active=False, password_hash=None, updated_at=func.now())
    )
    connection.execute(delete(operator_roles).where(operator_roles.c.operator_id == operator_id))
    end_sign_ins(connection, operator_id)


def end_sign_ins(connection: Connection, operator_id: UUID) -> None:
    """End all sign-ins of the operator."""
    connection.execute(
        delete(operator_sign_ins).where(operator_sign_ins.c.operator_id == operator_id)
    )
