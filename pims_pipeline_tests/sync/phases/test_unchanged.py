"""A listing that is compared by digests changes exactly what one that is read in full changes."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.inbound import InboundPlan, plan_inbound
from pims_pipeline.domain.planning.inbound_comparing import ComparedListing
from pims_pipeline.domain.planning.left_out import marked
from pims_pipeline.domain.records.appointments import PimsAppointment, Proof, RecordKind, Snapshot
from pims_pipeline.domain.records.resources import ALL_RESOURCES
from pims_pipeline.domain.records.series import (
    identify_occurrences,
    recognized,
    unsettled_dates,
)
from pims_pipeline.domain.records.words import DEFAULT_WORDS, CaseStatus, Words
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.sync.phases.audited import PhaseRun, audited
from pims_pipeline.sync.phases.inbound import apply_listing
from pims_pipeline.sync.phases.listing import compared, known_of
from pims_pipeline_tests.domain.records.test_resources import excluding, including
from pims_pipeline_tests.domain.strategies import WEEK, calendar_entries, quarantined_records
from pims_pipeline_tests.sync.bench import DAY, NOW, WINDOW, Bench, local
from pims_pipeline_tests.sync.test_metadata import EXAMPLES

LEARNT = DEFAULT_WORDS.adding(statuses={"Confirmed": CaseStatus.ONGOING})
ZONE = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)
NAMES = "abcd"
_FACTS = {"status": "Confirmed", "type": None, "provider": None, "room": None, "reason": None}
_CONSULTATION = {"digest": "d", "consultationId": "k"}
DOCUMENTS = (
    *EXAMPLES,
    *(
        json.dumps({"appointment": _FACTS, **more})
        for more in (
            {},
            {"mine": [1]},
            {"appointment": {**_FACTS, "reason": "[{" * 80}},
            {"reconciliation": {"softDeleted": True}},
            {"reconciliation": {"softDeleted": False}},
            {"consultation": {**_CONSULTATION, "patient": None}},
            {"consultation": {**_CONSULTATION, "patient": {"id": None, "name": "Ада"}}},
            {"consultation": {**_CONSULTATION, "patient": {"id": None, "name": "Grace"}}},
            {"consultation": {**_CONSULTATION, "patient": {"id": "7", "name": "Ада"}}},
            {"consultation": {**_CONSULTATION, "patient": {"id": "8", "name": "Ада"}}},
            {"consultation": {**_CONSULTATION, "patient": {"id": "", "name": "Grace"}}},
        )
    ),
)


@dataclass(frozen=True)
class Edit:
    """What someone did to the rows of one identity; a number is that of a document."""

    statement: str
    value: Any = None


def _edits() -> st.SearchStrategy[Edit]:
    """Users, the application, other phases and wrong clocks."""
    moments = st.sampled_from([-30 * HOUR, -HOUR, HOUR, 9000 * HOUR]).map(lambda by: NOW + by)
    return st.one_of(
        st.builds(
            Edit,
            st.sampled_from(
                [
                    "UPDATE pims_appointments SET last_seen_at = :value",
                    "UPDATE pims_appointments SET missing_since = :value",
                    "UPDATE pims_appointments SET removed_at = :value",
                    "UPDATE pims_appointments SET meant_status = NULL, meant_type = NULL",
                    "DELETE FROM pims_appointments",
                    "DELETE FROM cases",
                    "UPDATE cases SET patient_name = 'Edited', status = 'reviewed'",
                    "UPDATE cases SET case_type = 'surgery', metadata = metadata || '{\"x\": 1}'",
                    "UPDATE cases SET metadata = metadata - 'appointment'",
                ]
            ),
            moments,
        ),
        st.builds(
            Edit,
            st.just("UPDATE cases SET metadata = CAST(:value AS jsonb)"),
            st.integers(0, len(DOCUMENTS) - 1),
        ),
    )


@st.composite
def _appointments(draw: st.DrawFn) -> tuple[PimsAppointment, ...]:
    """A calendar of few identities; one that has several starts is a series."""
    entries = draw(st.lists(calendar_entries(st.sampled_from(NAMES)), min_size=1, max_size=6))
    entries = [
        replace(
            each,
            patient=replace(each.patient, id=draw(st.sampled_from([None, "7"]))),
            resources=draw(st.sampled_from([None, (), ("room:1",), ("room:2", "provider:?")])),
        )
        for each in entries
    ]
    unique = {(each.appointment_id, each.scheduled_start): each for each in entries}
    return identify_occurrences(tuple(unique.values()), ZONE)


@st.composite
def _listings(draw: st.DrawFn, appointments: Sequence[PimsAppointment], at: datetime) -> Snapshot:
    """The calendar, of the week or a part of it, with what a vendor may hide or break."""
    window = draw(
        st.sampled_from([WEEK, WEEK, DateRange(WEEK.start, WEEK.start + timedelta(days=1))])
    )
    inside = tuple(each for each in appointments if each.business_date in window)
    resources = draw(st.sampled_from([ALL_RESOURCES, excluding("room:1"), including("room:1")]))
    shown = tuple(
        (each.vendor_identity, each.scheduled_start)
        for each in appointments
        if each.business_date not in window
    )
    snapshot = Snapshot(
        window=window,
        appointments=inside,
        fetched_at=at,
        proof=draw(st.sampled_from((None, *Proof))),
        elsewhere=shown if draw(st.booleans()) else (),
        unreadable_elsewhere=tuple(draw(st.lists(st.sampled_from(NAMES), max_size=1))),
        quarantined=tuple(
            draw(st.lists(quarantined_records(st.sampled_from(NAMES)), max_size=1))
            if draw(st.booleans())
            else ()
        ),
    )
    return marked(snapshot, resources)


@dataclass(frozen=True)
class History:
    """Listings that were landed, what happened to their rows, and a listing to come."""

    landed: Sequence[Snapshot]
    edits: Sequence[tuple[str, Edit]]
    next: Snapshot
    words: Words


@st.composite
def histories(draw: st.DrawFn) -> History:
    calendars = draw(st.lists(_appointments(), min_size=1, max_size=2))
    landed = [
        draw(_listings(each, NOW - (20 - number) * HOUR)) for number, each in enumerate(calendars)
    ]
    edited = draw(st.lists(st.tuples(st.sampled_from(NAMES), _edits()), max_size=3))
    # Most of a calendar is as it was.
    following = draw(st.sampled_from(calendars) | _appointments())
    at = NOW - draw(st.sampled_from([0, 0, 0, 19.5, 30])) * HOUR
    return History(
        landed,
        edited,
        draw(_listings(following, at)),
        draw(st.sampled_from([DEFAULT_WORDS, LEARNT])),
    )


@pytest.fixture
def phase(bench: Bench) -> Iterator[PhaseRun]:
    """A phase whose clock stops, so that two attempts write the same times."""
    context = replace(bench.context, clock=lambda: NOW)
    with audited(context, bench.clinic, Phase.INBOUND, WEEK) as run:
        yield run


@contextmanager
def _undone(connection: Connection) -> Iterator[None]:
    attempt = connection.begin_nested()
    yield
    attempt.rollback()


def _in_full(connection: Connection, clinic: Clinic, snapshot: Snapshot) -> ComparedListing:
    return ComparedListing(snapshot=snapshot, known=known_of(connection, clinic, snapshot))


def _make(connection: Connection, phase: PhaseRun, history: History) -> None:
    lock_clinic(connection, phase.clinic.id)
    for snapshot in history.landed:
        apply_listing(
            connection, phase, _in_full(connection, phase.clinic, snapshot), DEFAULT_WORDS
        )
    for name, edit in history.edits:
        value = DOCUMENTS[edit.value] if isinstance(edit.value, int) else edit.value
        where = " WHERE pims_id LIKE :name AND clinic_id = :clinic_id"
        connection.execute(
            text(edit.statement + where),
            {"name": f"{name}%", "clinic_id": phase.clinic.id, "value": value},
        )


def _plan(listing: ComparedListing, clinic: Clinic, words: Words) -> InboundPlan:
    plan = plan_inbound(
        listing.known,
        recognized(listing.snapshot, listing.known, clinic.zone),
        clinic=clinic,
        words=words,
        now=NOW,
        unchanged=listing.unchanged,
        prepared=listing.prepared,
    )
    return replace(plan, sightings=tuple(sorted(plan.sightings)))


def _rows(connection: Connection) -> list[list[Any]]:
    return [
        list(connection.execute(text(statement)).all())
        for statement in (
            "SELECT CAST(a AS text) FROM pims_appointments AS a ORDER BY clinic_id, pims_id",
            "SELECT CAST(c AS text) FROM cases AS c ORDER BY id",
            "SELECT case_id, kind, changes, source_digest FROM case_events ORDER BY seq",
        )
    ]


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories())
def test_comparing_digests_changes_what_reading_everything_changes(
    phase: PhaseRun, history: History
) -> None:
    clinic, snapshot = phase.clinic, history.next
    with transaction(phase.context.engine) as connection, _undone(connection):
        _make(connection, phase, history)
        full = _in_full(connection, clinic, snapshot)
        slim = compared(connection, clinic, snapshot, history.words)
        assert unsettled_dates(slim.snapshot, slim.known) == unsettled_dates(
            full.snapshot, full.known
        )
        assert _plan(slim, clinic, history.words) == _plan(full, clinic, history.words)
        with _undone(connection):
            apply_listing(connection, phase, slim, history.words)
            by_digests = _rows(connection)
        apply_listing(connection, phase, full, history.words)
        assert by_digests == _rows(connection)


def booked(bench: Bench, count: int = 12) -> None:
    for number in range(count):
        kind = RecordKind.BLOCK if number == 5 else RecordKind.APPOINTMENT
        bench.vendor.book(
            str(number), local(DAY, 8) + timedelta(minutes=number), kind=kind, status="Finalized"
        )
        if kind is RecordKind.APPOINTMENT:
            bench.vendor.record_appointment(str(number), notes="S: itchy")


def compared_by_store(bench: Bench, window: DateRange = WINDOW) -> ComparedListing:
    snapshot = Snapshot(
        window=window,
        appointments=tuple(
            each for each in bench.vendor.appointments.values() if each.business_date in window
        ),
        fetched_at=bench.clock(),
        proof=Proof.ONE_RESPONSE,
    )
    with transaction(bench.engine) as connection:
        return compared(connection, bench.clinic, snapshot, DEFAULT_WORDS)


def test_of_an_unchanged_calendar_nothing_is_read(bench: Bench) -> None:
    booked(bench)
    bench.inbound()
    for _ in range(2):
        listing = compared_by_store(bench)
        assert (listing.snapshot.appointments, listing.known) == ((), {})
        assert {each.appointment_id for each in listing.unchanged} == set(bench.vendor.appointments)
        # Consultations of the same patients change nothing.
        bench.clock.forward(hours=1)
        bench.enrich()


def test_of_a_calendar_only_what_changed_is_read(bench: Bench) -> None:
    booked(bench)
    bench.inbound()
    moved = bench.vendor.appointments["3"]
    bench.vendor.put(replace(moved, status="In Progress"))
    bench.vendor.delete("4")
    bench.vendor.book("new", local(DAY, 15))
    listing = compared_by_store(bench)
    assert {each.appointment_id for each in listing.snapshot.appointments} == {"3", "new"}
    assert set(listing.known) == {"3", "4"}


@pytest.mark.parametrize(
    ("edit", "read"),
    [
        ("UPDATE cases SET status = 'reviewed', patient_name = 'Edited'", False),
        ("UPDATE cases SET metadata = metadata || '{\"mine\": 1}'", False),
        ("UPDATE cases SET metadata = metadata || '{\"appointment\": 5}'", True),
        (
            'UPDATE cases SET metadata = metadata || \'{"reconciliation": {"softDeleted": true}}\'',
            True,
        ),
        ("DELETE FROM cases", True),
        ("UPDATE pims_appointments SET meant_status = 'draft'", True),
        ("UPDATE pims_appointments SET last_seen_at = last_seen_at + interval '1 day'", True),
    ],
)
def test_an_unchanged_record_is_read_only_if_something_must_be_decided(
    bench: Bench, edit: str, *, read: bool
) -> None:
    booked(bench, 2)
    bench.inbound()
    bench.run(edit + " WHERE pims_id = '1'")
    assert set(compared_by_store(bench).known) == ({"1"} if read else set())


def test_another_clinic_s_record_of_the_same_identity_is_not_taken_for_it(
    bench: Bench,
) -> None:
    booked(bench, 2)
    bench.inbound()
    with transaction(bench.engine) as connection:
        other = add_clinic(
            connection,
            slug="other",
            name="Other",
            timezone="America/New_York",
            provider_type=bench.clinic.provider_type,
            provider_base_url="https://pims.example",
        )
        snapshot = Snapshot(
            window=WINDOW,
            appointments=tuple(bench.vendor.appointments.values()),
            fetched_at=bench.clock(),
            proof=Proof.ONE_RESPONSE,
        )
        listing = compared(connection, other, snapshot, DEFAULT_WORDS)
    assert (listing.unchanged, listing.known) == ((), {})
    assert listing.snapshot == snapshot


def test_what_an_incomplete_listing_lacks_is_not_marked_as_seen(bench: Bench) -> None:
    booked(bench)
    bench.inbound()
    bench.vendor.delete("4")
    bench.inbound()
    (gone,) = bench.rows("SELECT * FROM pims_appointments WHERE pims_id = '4'")
    assert gone.missing_since > gone.last_seen_at
    bench.inbound()
    assert bench.rows("SELECT * FROM pims_appointments WHERE pims_id = '4'") == [gone]


def test_dates_outside_the_listing_are_not_marked_as_seen(bench: Bench) -> None:
    booked(bench)
    bench.vendor.book("later", local(DAY + timedelta(days=2), 9))
    bench.inbound()
    later = "SELECT * FROM pims_appointments WHERE pims_id = 'later'"
    before = bench.rows(later)
    bench.inbound(DateRange(DAY, DAY))
    assert bench.rows(later) == before
