"""The demonstration's scenario: its days, and the edits of the clinics' calendars.

Syncs and checks belong in ``demonstration``, output in ``display``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pims_pipeline.cli.demo.clinics import DemoClinic
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.simulator.control_client import SimulatorControl, TrueAppointment

DAYS = 15
_DAYS_AFTER_CHANGE = 4
_TODAY_AFTER_CHANGE = 2
_MAX_DAYS_BETWEEN_CHANGES = 366
_NEXT_DAY = timedelta(days=1)
_UNOPENED = frozenset({"Confirmed", "not arrived"})

Kinds = frozenset[EventKind]


@dataclass(frozen=True, slots=True)
class Period:
    """The days of the demonstration, all in the past.

    Attributes:
        window: The business dates that are synced.
        vendor_today: The present date of the simulator; two days of the window follow it.
        clock_changes: The time zones whose clocks change in the window, by date.
    """

    window: DateRange
    vendor_today: date
    clock_changes: Mapping[date, str]


def demo_period(zones: Iterable[str], today: date) -> Period:
    """The latest days around a clock change, for all clinics, that end before ``today``.

    Args:
        zones: The clinics' time zones; of those that change on the same day, the first is named.
        today: In UTC; the window ends before it, so that its last day has begun in every zone.

    Raises:
        ValueError: If none of the zones changes its clocks.
    """
    names = list(zones)
    latest = today - timedelta(days=_DAYS_AFTER_CHANGE + 1)
    days = (latest - timedelta(days=back) for back in range(_MAX_DAYS_BETWEEN_CHANGES))
    change = next((day for day in days if _changing(names, day)), None)
    if change is None:
        raise ValueError("none of the time zones changes its clocks")
    end = change + timedelta(days=_DAYS_AFTER_CHANGE)
    window = DateRange(end - timedelta(days=DAYS - 1), end)
    return Period(
        window=window,
        vendor_today=change + timedelta(days=_TODAY_AFTER_CHANGE),
        clock_changes={day: zone for day in window if (zone := _changing(names, day))},
    )


def _changing(zones: Sequence[str], day: date) -> str | None:
    """The first of the zones whose clocks change on ``day``."""
    return next(
        (zone for zone in zones if _offset(zone, day) != _offset(zone, day + _NEXT_DAY)), None
    )


def _offset(zone: str, day: date) -> timedelta | None:
    return datetime.combine(day, time(), ZoneInfo(zone)).utcoffset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An edit of the vendor's calendar.

    Attributes:
        what: A short description for display.
        appointment: The appointment before the edit.
        expected: The sets of events that the next sync may add to the case history; one of them.
    """

    what: str
    demo: DemoClinic
    appointment: TrueAppointment
    expected: tuple[Kinds, ...]


class Scenario:
    """The day at the clinics, as edits of the simulator's calendars.

    The choice of the appointments depends on the calendar only. Each is edited at most once.
    """

    def __init__(
        self, control: SimulatorControl, clinics: Sequence[DemoClinic], period: Period
    ) -> None:
        self._control = control
        self._clinics = clinics
        self._period = period
        self._used: set[str] = set()

    def delete_by_mistake(self) -> Edit:
        """Delete a booking on the next day of the third clinic."""
        demo = self._clinics[2]
        appointment = self._pick(demo, self._period.vendor_today + _NEXT_DAY, _UNOPENED)
        self._control.delete(demo.company_id, appointment.id)
        return _edit(demo, appointment, "deleted by mistake", EventKind.SOFT_DELETED)

    def rest_of_the_day(self, mistake: Edit, now: datetime) -> list[Edit]:
        """Make all other edits, including the correction of the mistake.

        Args:
            mistake: The result of ``delete_by_mistake``.
            now: Written into the notes, so that each demonstration changes them.
        """
        first, second, third = self._clinics
        return [
            self._cancellation(first),
            self._deletion(first),
            self._move(first),
            self._finish(second, now),
            self._correction(second, now),
            self._return(mistake),
            self._walk_in(third),
        ]

    def _cancellation(self, demo: DemoClinic) -> Edit:
        appointment = self._pick(demo, self._period.vendor_today + _NEXT_DAY, _UNOPENED)
        self._control.cancel(demo.company_id, appointment.id)
        return _edit(demo, appointment, "cancelled by phone", EventKind.STATUS_CHANGED)

    def _deletion(self, demo: DemoClinic) -> Edit:
        appointment = self._pick(demo, self._period.vendor_today + _NEXT_DAY, _UNOPENED)
        self._control.delete(demo.company_id, appointment.id)
        return _edit(demo, appointment, "deleted from the calendar", EventKind.SOFT_DELETED)

    def _move(self, demo: DemoClinic) -> Edit:
        appointment = self._pick(demo, self._period.vendor_today + _NEXT_DAY, _UNOPENED)
        start = appointment.start + _NEXT_DAY
        self._control.move(demo.company_id, appointment.id, start)
        return _edit(demo, appointment, f"moved to {start:%a %d %b}", EventKind.RESCHEDULED)

    def _finish(self, demo: DemoClinic, now: datetime) -> Edit:
        appointment = self._pick(
            demo, self._period.vendor_today, _UNOPENED | {"In Progress", "Ready to Pay"}
        )
        notes = (
            "<p><b>S:</b> Limping since the weekend.</p><p><b>O:</b> Left carpus warm.</p>"
            "<p><b>A:</b> Soft tissue strain.</p>"
            f"<p><b>P:</b> Rest for a week. Written {now:%H:%M:%S} UTC.</p>"
        )
        self._control.finish(demo.company_id, appointment.id, notes)
        both = (EventKind.STATUS_CHANGED, EventKind.ENRICHED)
        return _edit(demo, appointment, "finished, notes written", *both)

    def _correction(self, demo: DemoClinic, now: datetime) -> Edit:
        appointment = self._pick(
            demo, self._period.vendor_today - _NEXT_DAY, frozenset({"Finalized"}), noted=True
        )
        notes = (
            "<p><b>S:</b> Here for a repeat prescription.</p><p><b>O:</b> Bright and alert.</p>"
            "<p><b>A:</b> Stable.</p>"
            f"<p><b>P:</b> Dose halved after a call. Corrected {now:%H:%M:%S} UTC.</p>"
        )
        self._control.write_notes(demo.company_id, appointment.id, notes)
        return _edit(demo, appointment, "notes corrected", EventKind.ENRICHED)

    def _return(self, mistake: Edit) -> Edit:
        self._control.restore(mistake.demo.company_id, mistake.appointment.id)
        return _edit(mistake.demo, mistake.appointment, "booked again", EventKind.RESTORED)

    def _walk_in(self, demo: DemoClinic) -> Edit:
        start = datetime.combine(self._period.vendor_today, time(16, 40))
        appointment = self._control.book(
            demo.company_id, start, patient_name="Pepper", client_name="Robin Vale", type="Walk-in"
        )
        # The simulator gives this booking the same id in every demonstration, so it may already
        # have a case, on that day or another.
        kinds = (EventKind.CREATED, EventKind.RESTORED, EventKind.RESCHEDULED)
        return Edit(
            what="booked as a walk-in",
            demo=demo,
            appointment=appointment,
            expected=tuple(frozenset({kind}) for kind in kinds),
        )

    def _pick(
        self, demo: DemoClinic, day: date, statuses: frozenset[str], *, noted: bool = False
    ) -> TrueAppointment:
        """The first appointment of the day in one of the statuses that was not edited before."""
        for appointment in self._control.appointments(demo.company_id, day, day):
            is_appointment = (
                appointment.kind == "appointment"
                and not appointment.deleted
                and appointment.patient_name
            )
            fits = appointment.status in statuses and (appointment.notes is not None or not noted)
            if is_appointment and fits and appointment.id not in self._used:
                self._used.add(appointment.id)
                return appointment
        raise LookupError(f"{demo.clinic.slug} has no suitable appointment on {day}")


def _edit(demo: DemoClinic, appointment: TrueAppointment, what: str, *kinds: EventKind) -> Edit:
    return Edit(what=what, demo=demo, appointment=appointment, expected=(frozenset(kinds),))
