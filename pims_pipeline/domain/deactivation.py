"""What a deactivated clinic is still used for: the one place that decides it.

Pure. Add a use here when something new is done with a clinic, and ask ``check_use`` before it
is done. The same rule as a condition of SQL, for schedules and alerts, is ``is_synced`` in
``pims_pipeline.store.clinics``.
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError


class ClinicDeactivated(UserFacingError):
    """The clinic was deactivated, and is not used for what was asked."""


class ClinicUse(Enum):
    """What a clinic, its keys, its schedule and its holds are used for."""

    READ = auto()
    SYNC = auto()
    MAKE_KEY = auto()
    DECIDE_HOLD = auto()


_REFUSED: Mapping[ClinicUse, str] = MappingProxyType(
    {
        ClinicUse.SYNC: "it is not synced",
        ClinicUse.MAKE_KEY: "no key was created",
        ClinicUse.DECIDE_HOLD: "its holds cannot be decided, and nothing was changed",
    }
)
"""What a deactivated clinic is not used for, as the error message words it."""


def may_use(use: ClinicUse, *, clinic_is_active: bool) -> bool:
    """Whether a clinic may be used so. What is stored of a deactivated one can still be read."""
    return clinic_is_active or use not in _REFUSED


def check_use(clinic: Clinic, use: ClinicUse) -> None:
    """Check that the clinic may be used so.

    Raises:
        ClinicDeactivated: If it is not.
    """
    if (reason := refusal(clinic, use)) is not None:
        raise ClinicDeactivated(reason)


def refusal(clinic: Clinic, use: ClinicUse) -> str | None:
    """Why the clinic may not be used so; None when it may."""
    if may_use(use, clinic_is_active=clinic.is_active):
        return None
    return f"clinic {clinic.slug!r} was deactivated; {_REFUSED[use]}"
