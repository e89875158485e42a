"""What the demonstration plays: which days, and what happens at the clinics on them.

Decisions only: what is done with them is ``demo``'s, how it looks ``demo_display``'s.
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
    """The days of the demonstration, all of them past.

    Attributes:
        window: The business dates that are synced.
        vendor_today: The date that the pretend vendor takes for today; two days follow it.
        clock_changes: The time zones whose clocks change in the window, and when.
    """

    window: DateRange
    vendor_today: date
    clock_changes: Mapping[date, str]


def demo_period(zones: Iterable[str], today: date) -> Period:
    """The latest days around a clock change, for all clinics, that lie before ``today``.

    Args:
        zones: The clinics' time zones; the first of those that change on the same day counts.
        today: In UTC; the window ends before it, so that the day has begun in every zone.

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
    """Something that was done to the vendor's calendar.

    Attributes:
        what: It, in a few words, for people.
        appointment: As it stood before.
        expected: What the next sync may make of it, in its case's story: one of these.
    """

    what: str
    demo: DemoClinic
    appointment: TrueAppointment
    expected: tuple[Kinds, ...]


class Story:
    """The day at the clinics, played on the pretend vendor's calendar.

    The calendar alone decides which appointments are edited, and each is edited once at most.
    """

    def __init__(
        self, control: SimulatorControl, clinics: Sequence[DemoClinic], period: Period
    ) -> None:
        self._control = control
        self._clinics = clinics
        self._period = period
        self._used: set[str] = set()

    def delete_by_mistake(self) -> Edit:
        """In the morning: a booking of the third clinic's next day vanishes."""
        demo = self._clinics[2]
        appointment = self._pick(demo, self._period.vendor_today + _NEXT_DAY, _UNOPENED)
        self._control.delete(demo.company_id, appointment.id)
        return _edit(demo, appointment, "deleted by mistake", EventKind.SOFT_DELETED)

    def rest_of_the_day(self, mistake: Edit, now: datetime) -> list[Edit]:
        """All the other things that happen to a calendar, the mistake's correction among them.

        Args:
            mistake: What ``delete_by_mistake`` did.
            now: Goes into the notes of the day, so that they are news.
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
        # The vendor gives a booking the same number in every demonstration, so that it may
        # already have a case, on that day or another.
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
        """The first appointment of the day in one of these statuses that was not edited yet."""
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
        raise LookupError(f"{demo.clinic.slug} has no appointment on {day} that fits the story")


def _edit(demo: DemoClinic, appointment: TrueAppointment, what: str, *kinds: EventKind) -> Edit:
    return Edit(what=what, demo=demo, appointment=appointment, expected=(frozenset(kinds),))
