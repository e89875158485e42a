"""Odd responses of the vendor, end to end: the simulator, the real adapter, a real database."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import Counts, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS
from pims_pipeline_tests.reliability.clinic.calls import LONG_TIMEOUT
from pims_pipeline_tests.reliability.clinic.pipeline import FULL
from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic

TODAY = date(2026, 3, 8)


@pytest.fixture
def synced(servers: SharedServers) -> Iterator[SyncedClinic]:
    synced = SyncedClinic.begin(servers, DEFAULT_CLINICS[0], TODAY)
    synced.read_timeout = LONG_TIMEOUT
    yield synced
    synced.end()


def sync_days(synced: SyncedClinic, phase: Phase, *days: int) -> PhaseOutcome:
    window = DateRange(*(TODAY + timedelta(days=day) for day in days)) if days else None
    outcome = synced.sync(phase, window=window)[phase]
    assert isinstance(outcome, PhaseOutcome), outcome
    return outcome


def appointments_counted(outcome: PhaseOutcome) -> Counts:
    """The receipt's counts of appointments, without blocks and rosters."""
    counts = outcome.counts
    return Counts(
        created=counts.created,
        updated=counts.updated,
        unchanged=counts.unchanged,
        quarantined=counts.quarantined,
    )


def series(synced: SyncedClinic, *days: int) -> list[str]:
    """Book an appointment on each day, all listed under one id; returns their own ids."""
    ids = [synced.book(synced.local(day, 9)) for day in days]
    for other in ids[1:]:
        synced.vendor("join_series", other, ids[0])
    return ids


def dates(synced: SyncedClinic) -> dict[str, int]:
    """By appointment, the date of each active case in days from today."""
    return {
        pims_id: (case.scheduled_date - TODAY).days
        for pims_id, case in synced.cases().items()
        if not case.retired
    }


@pytest.mark.parametrize(
    "windows",
    [
        [(-3, 3)],
        [(0, 0), (2, 2)],
        [(2, 2), (0, 0), (-3, 3)],
        [(0, 0), (-3, 3), (2, 2)],
    ],
)
def test_each_occurrence_of_a_series_is_one_case_in_whatever_windows_it_comes(
    synced: SyncedClinic, windows: list[tuple[int, int]]
) -> None:
    first, _ = series(synced, 0, 2)
    for window in windows:
        sync_days(synced, Phase.INBOUND, *window)
    found = dates(synced)
    assert sorted(found.values()) == [0, 2]
    assert all(name == first or name.startswith(f"{first}@") for name in found)
    sync_days(synced, Phase.INBOUND, -3, 3)
    before = synced.everything()
    for window in [*windows, (-3, 3), (0, 0), (2, 2)]:
        outcome = sync_days(synced, Phase.INBOUND, *window)
        booked = sum(day in outcome.window for day in (TODAY, TODAY + timedelta(days=2)))
        assert appointments_counted(outcome) == Counts(unchanged=booked)
    assert synced.everything() == before


def test_a_deleted_occurrence_is_retired_and_never_another(synced: SyncedClinic) -> None:
    first, second, third = series(synced, 0, 1, 2)
    synced.sync(*FULL)
    assert sorted(dates(synced).values()) == [0, 1, 2]
    for gone, left in ((second, [0, 2]), (first, [2])):
        synced.vendor("delete", gone)
        synced.sync(*FULL)
        synced.servers.clock.forward(timedelta(minutes=16))
        synced.sync(*FULL)
        assert sorted(dates(synced).values()) == left
    synced.vendor("delete", third)
    synced.vendor("restore", first)
    synced.sync(*FULL)
    synced.servers.clock.forward(timedelta(minutes=16))
    synced.sync(*FULL)
    assert sorted(dates(synced).values()) == [0]


def test_a_moved_occurrence_moves_no_other(synced: SyncedClinic) -> None:
    _, second = series(synced, 0, 1)
    synced.sync(*FULL)
    synced.vendor("move", second, synced.local(3, 9))
    for _ in range(2):
        synced.sync(*FULL)
        synced.servers.clock.forward(timedelta(minutes=16))
    assert sorted(dates(synced).values()) == [0, 3]
    assert sorted(case.scheduled_date for case in synced.cases().values()) == [
        TODAY + timedelta(days=day) for day in (0, 1, 3)
    ]


def test_an_appointment_moved_to_another_window_is_still_the_same_case(
    synced: SyncedClinic,
) -> None:
    appointment = synced.book(synced.local(0, 9))
    sync_days(synced, Phase.INBOUND, 0, 0)
    synced.vendor("move", appointment, synced.local(3, 9))
    assert sync_days(synced, Phase.INBOUND, 2, 3).counts.updated == 1
    assert dates(synced) == {appointment: 3}


@pytest.mark.parametrize("how", ["flag", "not_found", "null", "gone"])
def test_a_deletion_shown_in_any_way_retires_the_case_though_all_else_is_odd(
    synced: SyncedClinic, how: str
) -> None:
    synced.servers.control.settings(deleted_lookup=how)  # type: ignore[arg-type] # one of them
    kept, gone = synced.book(synced.local(0, 9)), synced.book(synced.local(0, 10))
    synced.sync(*FULL)
    synced.vendor("delete", gone)
    synced.servers.control.add_fault("odd_descriptions", endpoint="appointment", times=None)
    outcome = sync_days(synced, Phase.RECONCILIATION)
    assert outcome.counts == Counts(found=2, unchanged=1, deleted=1)
    assert dates(synced) == {kept: 0}


def test_one_odd_look_up_does_not_stop_the_reconciliation(synced: SyncedClinic) -> None:
    kept, gone = synced.book(synced.local(0, 9)), synced.book(synced.local(0, 10))
    synced.sync(*FULL)
    synced.vendor("delete", gone)
    synced.servers.control.add_fault("not_a_list", endpoint="appointment", times=None)
    assert sync_days(synced, Phase.RECONCILIATION).counts == Counts(found=2, unchanged=1, skipped=1)
    assert dates(synced) == {kept: 0, gone: 0}


def test_what_was_left_out_is_counted_on_the_audit_by_field_and_type(synced: SyncedClinic) -> None:
    appointment = synced.book(synced.local(-1, 9))
    synced.vendor("finish", appointment, "<p>Well again.</p>")
    synced.servers.control.add_fault("odd_descriptions", times=None)
    synced.sync(*FULL)
    (case,) = synced.cases().values()
    assert case.metadata["consultation"]["notes"] == "Well again."
    assert case.metadata["consultation"]["diagnoses"] == ["Otitis"]
    found = {
        row.sync_type: {(odd["path"], odd["type"]) for odd in row.oddities}
        for row in synced.rows(
            "SELECT sync_type, oddities FROM case_sync_audits WHERE clinic_id = %(clinic_id)s"
        )
    }
    assert ("listing.provider", "array") in found["inbound"]
    assert ("listing.appointment_room_name", "boolean") in found["inbound"]
    assert found["cases"] == {
        ("consultation.consultation.date", "string"),
        ("consultation.consultation.reason", "boolean"),
        ("consultation.consultation.status", "array"),
        ("consultation.consultationLines[]", "string"),
        ("consultation.consultationLines[].quantity", "object"),
        ("consultation.diagnoses[]", "array"),
        ("consultation.diagnoses[].code", "array"),
        ("consultation.vitalSignGroup", "string"),
    }
