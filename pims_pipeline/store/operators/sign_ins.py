"""Sign-ins of operators, as the API's role may use them: through functions of the database.

The functions are in migration 0027. An id of a sign-in never gets here, only its hash.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.console.operators import (
    ABSOLUTE_LIMIT,
    ATTEMPT_WINDOW,
    IDLE_LIMIT,
    KNOWN_ADDRESS_LIMIT,
    OperatorRights,
    OperatorRole,
    SignedInOperator,
)


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """An active operator, as found by name.

    Attributes:
        password_hash: None for one whom only an identity proxy signs in.
    """

    id: UUID
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often a subject tried to sign in, and how long that counts."""

    count: int
    seconds_left: float


def find_login(connection: Connection, name: str) -> StoredLogin | None:
    """The active operator with that name; None if there is none."""
    row = connection.execute(
        text("SELECT id, password_hash FROM pims_operator_by_name(:name)"), {"name": name}
    ).one_or_none()
    return None if row is None else StoredLogin(row.id, row.password_hash)


def count_attempt(connection: Connection, subject: str) -> Attempts:
    """Count an attempt for a subject; return how many there are now, with this one.

    Others that count the same subject wait until this transaction ends.
    """
    row = connection.execute(
        text("SELECT * FROM pims_count_sign_in_attempt(:subject, :lasts)"),
        {"subject": subject, "lasts": ATTEMPT_WINDOW},
    ).one()
    return Attempts(row.attempts, row.seconds_left)


def signed_in_from(connection: Connection, name: str, address: str) -> bool:
    """Whether the operator with that name signed in from the address lately."""
    found = connection.scalar(
        text("SELECT pims_signed_in_from(:name, :address, :lasts)"),
        {"name": name.replace("\0", ""), "address": address, "lasts": KNOWN_ADDRESS_LIMIT},
    )
    return bool(found)


def forget_attempts(connection: Connection, subject: str) -> None:
    """Forget the attempts of a subject, after one that succeeded."""
    connection.execute(text("SELECT pims_forget_sign_in_attempts(:subject)"), {"subject": subject})


def open_sign_in(
    connection: Connection, login: StoredLogin, id_hash: str, *, former_hash: str | None
) -> bool:
    """Open a sign-in, and end the one that the browser had before.

    Returns:
        False, and nothing is opened, if the operator is another one than ``login`` by now: was
        removed, or got another password.
    """
    opened = connection.scalar(
        text("SELECT pims_open_sign_in(:operator, :password, :hash, :former, :idle)"),
        {
            "operator": login.id,
            "password": login.password_hash,
            "hash": id_hash,
            "former": former_hash,
            "idle": IDLE_LIMIT,
        },
    )
    return bool(opened)


def close_sign_in(connection: Connection, id_hash: str) -> None:
    """End a sign-in; do nothing if it has ended."""
    connection.execute(text("SELECT pims_close_sign_in(:hash)"), {"hash": id_hash})


def signed_in(
    connection: Connection, id_hash: str, *, longest: timedelta = ABSOLUTE_LIMIT
) -> SignedInOperator | None:
    """The operator of a sign-in, which is used by this; None if it has ended."""
    rows = connection.execute(
        text("SELECT * FROM pims_signed_in_operator(:hash, :idle, :longest)"),
        {"hash": id_hash, "idle": IDLE_LIMIT, "longest": longest},
    ).all()
    if not rows:
        return None
    grants = ((row.clinic_id, OperatorRole(row.role)) for row in rows if row.role is not None)
    return SignedInOperator(rows[0].id, rows[0].name, OperatorRights.of(grants))
