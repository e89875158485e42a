"""The made-up calendar: the same seed gives the same days, and they are plausible."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pims_pipeline.simulator.practice.calendar import Calendar
from pims_pipeline.simulator.practice.clinics import (
    DEFAULT_CLINICS,
    SimulatedClinic,
    SimulatorConfig,
)
from pims_pipeline.simulator.practice.consultations import make_consultation
from pims_pipeline.simulator.practice.entries import Entry
from pims_pipeline.simulator.practice.generation import (
    OPENED_STATUSES,
    WRITTEN_STATUSES,
    clock_change_time,
    generate_day,
)

TODAY = date(2026, 3, 11)
NEW_YORK, LONDON, SYDNEY = DEFAULT_CLINICS


def month(clinic: SimulatedClinic, first: date, days: int = 31) -> list[Entry]:
    return [
        entry
        for offset in range(days)
        for entry in generate_day(7, clinic, first + timedelta(days=offset), TODAY)
    ]


@pytest.mark.parametrize("clinic", DEFAULT_CLINICS, ids=lambda clinic: clinic.company_id)
def test_the_same_seed_clinic_and_date_give_the_same_day(clinic: SimulatedClinic) -> None:
    day = date(2026, 3, 12)

    assert generate_day(7, clinic, day, TODAY) == generate_day(7, clinic, day, TODAY)
    assert generate_day(8, clinic, day, TODAY) != generate_day(7, clinic, day, TODAY)


def test_clinics_do_not_share_a_day() -> None:
    day = date(2026, 3, 12)

    assert generate_day(7, NEW_YORK, day, TODAY) != generate_day(7, LONDON, day, TODAY)


def test_every_id_names_one_record_over_months() -> None:
    ids = Counter(entry.id for entry in month(NEW_YORK, date(2026, 1, 1), days=120))

    assert [entry_id for entry_id, times in ids.items() if times > 1] == []


@pytest.mark.parametrize("wanted", [0, 1, 40, 1000])
def test_a_day_has_exactly_the_appointments_asked_for(wanted: int) -> None:
    entries = generate_day(7, NEW_YORK, date(2026, 3, 12), TODAY, wanted)

    assert len([entry for entry in entries if entry.kind == "appointment"]) == wanted


def test_past_days_are_settled_and_future_days_are_open() -> None:
    past = {e.status for e in month(LONDON, date(2026, 1, 1)) if e.kind == "appointment"}
    future = {e.status for e in month(LONDON, date(2026, 6, 1)) if e.kind == "appointment"}

    assert past == {"Finalized", "Ready to Pay", "No Show", "Cancelled"}
    assert future == {"not arrived", "Confirmed", "Cancelled"}


def test_only_opened_appointments_have_a_consultation() -> None:
    entries = [*month(SYDNEY, date(2026, 2, 20)), *month(SYDNEY, date(2026, 6, 1))]
    appointments = [entry for entry in entries if entry.kind == "appointment"]

    opened = {e.id for e in appointments if e.consultation_id is not None}
    assert opened == {e.id for e in appointments if e.status in OPENED_STATUSES}
    assert any(e.status in WRITTEN_STATUSES and not e.notes_written for e in appointments)


def test_nothing_changed_after_the_simulators_own_now() -> None:
    now = datetime.combine(TODAY, datetime.min.time()) + timedelta(hours=14)
    entries = [e for e in month(NEW_YORK, date(2026, 3, 1)) if e.kind == "appointment"]

    assert [e.id for e in entries if e.last_updated_at and e.last_updated_at > now] == []


@pytest.mark.parametrize(
    ("clinic", "spring", "autumn"),
    [
        (NEW_YORK, date(2026, 3, 8), date(2026, 11, 1)),
        (LONDON, date(2026, 3, 29), date(2026, 10, 25)),
        (SYDNEY, date(2026, 10, 4), date(2026, 4, 5)),
    ],
    ids=lambda value: value.company_id if isinstance(value, SimulatedClinic) else str(value),
)
def test_a_clock_change_has_one_appointment_in_the_odd_hour_and_no_other_day_has(
    clinic: SimulatedClinic, spring: date, autumn: date
) -> None:
    odd_hours = {
        entry.start
        for day in (date(2026, 1, 1) + timedelta(days=n) for n in range(365))
        for entry in generate_day(7, clinic, day, TODAY)
        if entry.kind == "appointment" and is_odd(entry.start, clinic.zone)
    }

    assert odd_hours == {
        clock_change_time(clinic.zone, spring),
        clock_change_time(clinic.zone, autumn),
    }


def is_odd(local: datetime, zone: ZoneInfo) -> bool:
    aware = local.replace(tzinfo=zone)
    missing = aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local
    return missing or aware.utcoffset() != aware.replace(fold=1).utcoffset()


def test_consultations_come_in_every_shape_of_vitals_and_diagnoses() -> None:
    consultations = [
        make_consultation(7, "1001", entry, imperial=True)
        for entry in month(NEW_YORK, date(2026, 1, 1))
        if entry.notes_written
    ]

    assert {each.vitals_shape for each in consultations} == {"object", "list", "none"}
    assert {v.vitals.temperature_unit for v in consultations if v.vitals} == {"C", "F"}
    assert {v.vitals.weight_unit for v in consultations if v.vitals} == {"kg", "lb"}
    assert {each.diagnoses is None for each in consultations} == {True, False}
    assert {line.declined for each in consultations for line in each.lines} == {True, False}


def test_a_date_beyond_the_calendar_is_empty() -> None:
    calendar = Calendar(SimulatorConfig(today=TODAY), NEW_YORK)

    assert calendar.day(date.max) == ()
    assert calendar.day(date.min) == ()


def test_a_day_is_the_same_object_until_it_is_edited() -> None:
    calendar = Calendar(SimulatorConfig(today=TODAY), NEW_YORK)
    before, other = calendar.day(TODAY), calendar.day(TODAY + timedelta(days=1))

    assert calendar.day(TODAY) is before
    calendar.cancel(before[-1].id)
    assert calendar.day(TODAY) is not before
    assert calendar.day(TODAY + timedelta(days=1)) is other


def test_more_appointments_than_a_day_has_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="1001 appointments a day"):
        SimulatorConfig(appointments_per_day=1001)
