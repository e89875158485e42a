"""Adding, listing and removing operators, their passwords and roles. As the owner of the tables."""

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRole, checked_name
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.operations.operators.passwords import hashed
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.operators.accounts import (
    Operator,
    add_operator,
    deactivate_operator,
    drop_role,
    list_operators,
    operator_by_name,
    put_role,
    set_password_hash,
)


class NoSuchRole(UserFacingError):
    """The operator has no role to take away there."""


def create_operator(
    engine: Engine,
    name: str,
    *,
    password: str | None,
    role: OperatorRole,
    slugs: tuple[str, ...] = (),
) -> Operator:
    """Add an operator with a role.

    Args:
        engine: As the owner.
        name: Not case-sensitive.
        password: None for one whom only an identity proxy signs in.
        role: What the operator may do.
        slugs: The clinics it is for; none for all clinics.

    Raises:
        BadOperatorName: If no operator may have that name.
        BadPassword: If it is too short or too long.
        OperatorExists: If there is one.
        UnknownClinic: If a clinic does not exist.
    """
    named = checked_name(name)
    password_hash = None if password is None else hashed(password)
    with transaction(engine) as connection:
        clinics = _clinics(connection, slugs)
        operator_id = add_operator(connection, named, password_hash)
        for clinic in clinics:
            put_role(connection, operator_id, role, clinic)
        return operator_by_name(connection, named)


def find_operators(engine: Engine) -> list[Operator]:
    """All operators by name, removed ones too."""
    with transaction(engine) as connection:
        return list_operators(connection)


def set_password(engine: Engine, name: str, password: str) -> None:
    """Replace an operator's password; ends the sign-ins made with the former one.

    Raises:
        BadPassword: If it is too short or too long.
        UnknownOperator: If there is no such operator.
    """
    password_hash = hashed(password)
    with transaction(engine) as connection:
        operator = operator_by_name(connection, checked_name(name))
        set_password_hash(connection, operator.id, password_hash)


def existing_operator(engine: Engine, name: str) -> Operator:
    """The active operator with that name.

    Raises:
        BadOperatorName: If no operator may have that name.
        UnknownOperator: If there is no such operator.
    """
    with transaction(engine) as connection:
        return operator_by_name(connection, checked_name(name))


def give_role(
    engine: Engine, name: str, role: OperatorRole, slugs: tuple[str, ...] = ()
) -> Operator:
    """Give an operator a role for these clinics, or for all if there are none; holds at once.

    Raises:
        UnknownClinic: If a clinic does not exist.
        UnknownOperator: If there is no such operator.
    """
    with transaction(engine) as connection:
        operator = operator_by_name(connection, checked_name(name))
        for clinic in _clinics(connection, slugs):
            put_role(connection, operator.id, role, clinic)
        return operator_by_name(connection, operator.name)


def take_role(engine: Engine, name: str, slugs: tuple[str, ...] = ()) -> Operator:
    """Take away the role for these clinics, or the one for all if there are none.

    Raises:
        NoSuchRole: If the operator has none there.
        UnknownClinic: If a clinic does not exist.
        UnknownOperator: If there is no such operator.
    """
    with transaction(engine) as connection:
        operator = operator_by_name(connection, checked_name(name))
        for clinic in _clinics(connection, slugs):
            if not drop_role(connection, operator.id, clinic):
                where = f"at {clinic.slug}" if clinic else "for all clinics"
                raise NoSuchRole(
                    f"{operator.name} has no role {where}; `pims operators list` shows the roles"
                )
        return operator_by_name(connection, operator.name)


def remove_operator(engine: Engine, name: str) -> Operator:
    """Remove an operator and end all sign-ins; return what is left. The log keeps the name.

    Raises:
        UnknownOperator: If there is no such operator.
    """
    with transaction(engine) as connection:
        operator = operator_by_name(connection, checked_name(name))
        deactivate_operator(connection, operator.id)
        [left] = list_operators(connection, operator.name)
        return left


def _clinics(connection: Connection, slugs: tuple[str, ...]) -> list[Clinic | None]:
    """The clinics; a single None, which means all, if there are no slugs."""
    return [clinic_by_slug(connection, slug) for slug in slugs] or [None]
