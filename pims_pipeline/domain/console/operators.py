"""Operators: the people who use the console, and what their roles allow.

A role holds for one clinic or for all; the higher of the two counts. Where operators are kept
belongs in ``store/operators/``, how they sign in in ``operations/operators/``, and what a page
demands in ``console/``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from pims_pipeline.domain.errors import UserFacingError

NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
"""What an operator's name may be: an address for mail, or a short name, in lower case."""
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
IDLE_LIMIT: Final = timedelta(minutes=30)
"""How long a sign-in lasts without a request."""
ABSOLUTE_LIMIT: Final = timedelta(hours=12)
"""How long a sign-in lasts at most."""
ATTEMPT_WINDOW: Final = timedelta(minutes=15)
ATTEMPTS_PER_OPERATOR: Final = 10
"""Failed attempts to sign in as one operator in ``ATTEMPT_WINDOW``: from all addresses together,
or from one from which the operator signed in within ``KNOWN_ADDRESS_LIMIT``."""
KNOWN_ADDRESS_LIMIT: Final = timedelta(days=30)
ATTEMPTS_PER_ADDRESS: Final = 50
"""Attempts to sign in from one address, as all operators, in ``ATTEMPT_WINDOW``."""


class OperatorRole(StrEnum):
    """What an operator may do, from the least to the most."""

    VIEWER = "viewer"
    """See clinics and cases."""
    OPERATOR = "operator"
    """Also decide holds, retry failures, and start syncs."""
    ADMIN = "admin"
    """Also change schedules."""

    def covers(self, other: "OperatorRole") -> bool:
        """Whether this role allows all that ``other`` does.

        Example:
            >>> OperatorRole.ADMIN.covers(OperatorRole.VIEWER)
            True
        """
        order = list(OperatorRole)
        return order.index(self) >= order.index(other)


class OperatorAction(StrEnum):
    """What ``operator_log`` records."""

    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    CLINIC_SEEN = "clinic_seen"
    CASE_SEEN = "case_seen"
    HOLD_APPROVED = "hold_approved"
    HOLD_REJECTED = "hold_rejected"
    FAILURE_RETRIED = "failure_retried"
    SCHEDULE_CHANGED = "schedule_changed"
    SYNC_STARTED = "sync_started"
    SYNC_SEEN = "sync_seen"
    CASES_SEARCHED = "cases_searched"
    HOLD_REOPENED = "hold_reopened"


class BadOperatorName(UserFacingError, ValueError):
    """A name that no operator may have; the message says what one looks like."""


class BadPassword(UserFacingError, ValueError):
    """A password that is too short or too long. The message does not repeat it."""


@dataclass(frozen=True, slots=True)
class OperatorRights:
    """The roles of one operator.

    Attributes:
        everywhere: The role for all clinics, if there is one.
        clinics: The roles for single clinics, by their ids.
    """

    everywhere: OperatorRole | None = None
    clinics: Mapping[UUID, OperatorRole] = field(default_factory=dict)

    def may(self, role: OperatorRole, clinic_id: UUID) -> bool:
        """Whether the operator has at least ``role`` at the clinic."""
        held = (self.everywhere, self.clinics.get(clinic_id))
        return any(each is not None and each.covers(role) for each in held)

    @classmethod
    def of(cls, grants: Iterable[tuple[UUID | None, OperatorRole]]) -> "OperatorRights":
        """The rights of these roles; a clinic of None means all clinics."""
        held = dict(grants)
        everywhere = held.pop(None, None)
        return cls(everywhere, {clinic: role for clinic, role in held.items() if clinic})


@dataclass(frozen=True, slots=True)
class SignedInOperator:
    """The operator of a valid sign-in, with the present roles."""

    id: UUID
    name: str
    rights: OperatorRights


def checked_name(text: str) -> str:
    """The name of an operator in lower case.

    Raises:
        BadOperatorName: If no operator may have it.
    """
    name = text.strip().lower()
    if NAME_PATTERN.fullmatch(name) is None:
        raise BadOperatorName(
            "an operator's name has 1 to 100 letters, digits and . _ @ + -, such as "
            "ann@clinic.example"
        )
    return name


def check_password(password: str) -> None:
    """Check the length of a new password.

    Raises:
        BadPassword: If it is too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise BadPassword(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; choose another"
        )
