"""Switching a clinic: whether the last comparison allows it, and their schedule without our phases.

Pure. Their schedule is a list of entries with ``enabled``, or an object of crons. What is compared
belongs in the comparison; what is imported of a schedule belongs in ``clinics``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pims_pipeline.domain.adoption.agreement import disagreement
from pims_pipeline.domain.adoption.clinics import PHASES_THERE
from pims_pipeline.domain.phases import Phase

Schedule = Sequence[Any] | Mapping[str, Any]
"""``sync_schedules`` as stored."""

FRESH = timedelta(days=1)
"""How old the last comparison may be."""


def why_not(
    summary: Mapping[str, Any] | None,
    compared_at: datetime | None,
    now: datetime,
    accept: int = 0,
) -> str | None:
    """Why a clinic with this last comparison cannot be switched; None if it can.

    Args:
        summary: ``adoptions.last_diff``.
        compared_at: When; aware.
        now: The present; aware.
        accept: How many differences are accepted.
    """
    if summary is None or compared_at is None:
        return "it was never compared"
    if compared_at < now - FRESH:
        return f"its last comparison is of {compared_at:%Y-%m-%d %H:%M} UTC, more than a day ago"
    return disagreement(summary, accept)


def switched_off(stored: Schedule) -> Schedule:
    """The schedule with every phase off; entries of other kinds stay.

    Example:
        ``[{"type": "inbound", "cron": "0 * * * *", "enabled": True}]`` gets ``enabled: False``;
        ``{"inbound": "0 * * * *"}`` becomes ``{}``.
    """
    if isinstance(stored, Mapping):
        return {name: cron for name, cron in stored.items() if name not in PHASES_THERE}
    return [_entry_off(entry) for entry in stored]


def _entry_off(entry: Any) -> Any:
    return {**entry, "enabled": False} if _phase_of(entry) else entry


def _phase_of(entry: Any) -> Phase | None:
    return PHASES_THERE.get(str(entry.get("type"))) if isinstance(entry, Mapping) else None


@dataclass(frozen=True, slots=True)
class Restored:
    """The schedule as it is to be.

    Attributes:
        edited: The phases that someone edited while they were off; they stay as they are.
    """

    schedule: Schedule
    edited: tuple[str, ...]


def switched_on(kept: Schedule, present: Schedule) -> Restored:
    """The present schedule with the phases back as they were; what was edited since stays.

    Args:
        kept: As it was before it was switched off.
        present: As it is.
    """
    if isinstance(kept, Mapping) and isinstance(present, Mapping):
        return _object_on(kept, present)
    if isinstance(kept, Mapping) or isinstance(present, Mapping):
        return Restored(present, ("the whole schedule",))
    return _list_on(kept, present)


def _object_on(kept: Mapping[str, Any], present: Mapping[str, Any]) -> Restored:
    former = {name: cron for name, cron in kept.items() if name in PHASES_THERE}
    edited = tuple(sorted(name for name in former if name in present))
    missing = {name: cron for name, cron in former.items() if name not in present}
    return Restored({**present, **missing}, edited)


def _list_on(kept: Sequence[Any], present: Sequence[Any]) -> Restored:
    waiting = [entry for entry in kept if _phase_of(entry)]
    restored: list[Any] = []
    for entry in present:
        former = next((each for each in waiting if _entry_off(each) == entry), None)
        if former is None:
            restored.append(entry)
        else:
            waiting.remove(former)
            restored.append(former)
    return Restored(restored, tuple(sorted({str(each["type"]) for each in waiting})))
