"""One vendor identity with several starts: each is an appointment, the same on every listing."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.clinics import DateRange, business_date, local_to_utc
from pims_pipeline.domain.planning.landed_records import KnownRecord
from pims_pipeline.domain.records.appointments import (
    PimsAppointment,
    Proof,
    QuarantinedRecord,
    Snapshot,
)
from pims_pipeline.domain.records.series import (
    identify_occurrences,
    occurrence_identity,
    recognized,
    series_of,
    unsettled_dates,
    windows_around,
    with_further_listing,
)

ZONE = ZoneInfo("America/New_York")
FIRST = date(2026, 10, 30)
"""Two days before the clocks go back."""
DAYS = [FIRST + timedelta(days=offset) for offset in range(5)]
LATER = datetime(2026, 10, 2, tzinfo=UTC)
UNREADABLE = QuarantinedRecord(
    record_key="7", pims_id="7", error_class="UnreadableField", error_message="no flag"
)
Truth = set[tuple[str, datetime]]


class Calendar:
    """The known records of a calendar that is listed window by window."""

    def __init__(self) -> None:
        self.known: dict[str, KnownRecord] = {}
        self.further: list[DateRange] = []
        self._fetched_at = datetime(2026, 10, 1, tzinfo=UTC)

    def sync(self, truth: Truth, window: DateRange) -> dict[tuple[str, datetime], str]:
        """By vendor identity and start: what each listed appointment is called."""
        self._fetched_at += timedelta(minutes=15)
        snapshot = self._listing(truth, window)
        for further in windows_around(unsettled_dates(snapshot, self.known), 31):
            self.further.append(further)
            snapshot = with_further_listing(snapshot, self._listing(truth, further))
        snapshot = recognized(snapshot, self.known, ZONE)
        assert recognized(snapshot, self.known, ZONE) == snapshot
        present = {each.appointment_id for each in snapshot.appointments}
        assert len(present) == len(snapshot.appointments)
        for known in list(self.known.values()):
            if known.business_date in window and known.pims_id not in present:
                self.known[known.pims_id] = replace(known, missing_since=self._fetched_at)
        for each in snapshot.appointments:
            self.known[each.appointment_id] = KnownRecord(
                pims_id=each.appointment_id,
                series_id=each.series_id,
                business_date=each.business_date,
                scheduled_start=each.scheduled_start,
                last_seen_at=self._fetched_at,
            )
        assert unsettled_dates(snapshot, self.known) == ()
        return {
            (each.vendor_identity, each.scheduled_start): each.appointment_id
            for each in snapshot.appointments
        }

    def _listing(self, truth: Truth, window: DateRange) -> Snapshot:
        whole = identify_occurrences(
            [appointment(*each) for each in truth if _day(each[1]) in window], ZONE
        )
        return Snapshot(
            window=window, appointments=whole, fetched_at=self._fetched_at, proof=Proof.ONE_RESPONSE
        )


def appointment(identity: str, start: datetime) -> PimsAppointment:
    return PimsAppointment(
        appointment_id=identity,
        scheduled_start=start,
        scheduled_end=start + timedelta(minutes=30),
        business_date=_day(start),
    )


def _day(start: datetime) -> date:
    return business_date(start, ZONE)


def at(day: int, hour: int = 9) -> datetime:
    moment = datetime.combine(FIRST + timedelta(days=day), datetime.min.time())
    return local_to_utc(moment, ZONE) + timedelta(hours=hour)


def days(first: int, last: int) -> DateRange:
    return DateRange(FIRST + timedelta(days=first), FIRST + timedelta(days=last))


windows = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda two: days(min(two), max(two)))
# Hours in UTC, so that both readings of the hour that the clocks repeat are among them.
starts = st.builds(at, st.integers(0, 4), st.sampled_from([0, 1, 2, 9, 15]))
truths = st.sets(st.tuples(st.sampled_from(["7", "8", "9"]), starts), max_size=8)


@given(truths, st.lists(windows, min_size=1, max_size=8))
def test_an_occurrence_is_called_the_same_on_every_listing(
    truth: Truth, listed: list[DateRange]
) -> None:
    calendar = Calendar()
    called: dict[tuple[str, datetime], str] = {}
    for window in listed:
        found = calendar.sync(truth, window)
        assert set(found) == {each for each in truth if _day(each[1]) in window}
        for occurrence, name in found.items():
            assert called.setdefault(occurrence, name) == name
    assert len(set(called.values())) == len(called), "two appointments have one identity"
    asked = len(calendar.further)
    for window in listed:
        assert calendar.sync(truth, window).items() <= called.items()
    assert len(calendar.further) == asked, "what is settled is asked again"


@given(st.lists(st.tuples(starts, st.lists(windows, max_size=3)), min_size=1, max_size=5))
def test_an_appointment_by_itself_keeps_its_identity_wherever_it_moves(
    history: list[tuple[datetime, list[DateRange]]],
) -> None:
    calendar = Calendar()
    for start, listed in history:
        for window in listed:
            found = calendar.sync({("7", start)}, window)
            assert set(found.values()) <= {"7"}


@given(truths, st.lists(st.tuples(windows, st.sets(st.integers(0, 7))), max_size=6))
def test_occurrences_that_go_and_come_are_never_taken_for_one_another(
    truth: Truth, listed: list[tuple[DateRange, set[int]]]
) -> None:
    """Once a series is known as such, nothing that goes or comes renames the others."""
    calendar = Calendar()
    called = calendar.sync(truth, days(0, 4))
    series = {each for each in truth if sum(other[0] == each[0] for other in truth) > 1}
    ordered = sorted(truth)
    for window, gone in listed:
        left = {each for place, each in enumerate(ordered) if place not in gone}
        for occurrence, name in calendar.sync(left, window).items():
            if occurrence in series:
                assert called[occurrence] == name


def test_the_occurrence_that_was_known_first_keeps_the_bare_identity() -> None:
    calendar = Calendar()
    assert calendar.sync({("7", at(0))}, days(0, 0)) == {("7", at(0)): "7"}
    both = {("7", at(0)), ("7", at(3))}
    assert calendar.sync(both, days(3, 3)) == {("7", at(3)): "7@2026-11-02T09:00"}
    assert calendar.further == [days(0, 0)]
    assert calendar.sync(both, days(0, 4)) == {
        ("7", at(0)): "7",
        ("7", at(3)): "7@2026-11-02T09:00",
    }


def test_a_move_that_a_listing_showed_needs_no_lookup() -> None:
    calendar = Calendar()
    calendar.sync({("7", at(0))}, days(0, 0))
    moved = {("7", at(3))}
    calendar.sync(moved, days(0, 0))
    assert calendar.sync(moved, days(3, 3)) == {("7", at(3)): "7"}
    assert calendar.further == []


def test_an_unreadable_record_of_an_identity_may_be_the_one_that_is_known() -> None:
    calendar = Calendar()
    calendar.sync({("7", at(0))}, days(0, 0))
    snapshot = Snapshot(
        window=days(0, 4),
        appointments=(appointment("7", at(3)),),
        quarantined=(UNREADABLE,),
        fetched_at=LATER,
        proof=Proof.ONE_RESPONSE,
    )
    (found,) = recognized(snapshot, calendar.known, ZONE).appointments
    assert found.appointment_id == "7@2026-11-02T09:00"


def test_nor_is_one_that_a_further_listing_shows_unreadable_taken_for_moved() -> None:
    calendar = Calendar()
    calendar.sync({("7", at(0))}, days(0, 0))
    snapshot = Snapshot(
        window=days(3, 3),
        appointments=(appointment("7", at(3)),),
        fetched_at=LATER,
        proof=Proof.ONE_RESPONSE,
    )
    assert unsettled_dates(snapshot, calendar.known) == (FIRST,)
    further = Snapshot(
        window=days(0, 0),
        appointments=(),
        quarantined=(UNREADABLE,),
        fetched_at=LATER,
        proof=Proof.ONE_RESPONSE,
    )
    snapshot = with_further_listing(snapshot, further)
    (found,) = recognized(snapshot, calendar.known, ZONE).appointments
    assert found.appointment_id == "7@2026-11-02T09:00"


@given(st.text(min_size=1), st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)))  # noqa: DTZ001 - made aware below
def test_the_series_is_found_in_the_name_of_its_occurrence(identity: str, start: datetime) -> None:
    assert series_of(occurrence_identity(identity, start.replace(tzinfo=UTC), ZONE)) == identity


def test_an_identity_of_its_own_has_no_series() -> None:
    names: Iterable[str] = ("7", "event-1", "a@b.example", "@2026-11-02T09:00", "7@2026-11-02")
    assert [series_of(name) for name in names] == [None] * 5
