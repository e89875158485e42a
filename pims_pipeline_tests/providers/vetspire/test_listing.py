"""How a calendar is fetched whole: pages, passes, and records over which the vendor fails."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.providers.port import ContractViolation, TransientError
from pims_pipeline.providers.vetspire.listing import MOST_FAULTS, MOST_PASSES, Page, Span
from pims_pipeline_tests.providers.vetspire.paged_calendar import (
    MIDNIGHT,
    PagedCalendar,
    booked,
    fetched,
    identities,
)

minutes = st.integers(0, 24 * 60 - 1)


def test_a_quiet_day_is_one_request_from_midnight_to_midnight() -> None:
    calendar = PagedCalendar(booked(range(0, 1440, 30)))

    found = fetched(calendar, days=2)

    assert found.is_whole
    assert len(found.rows) == 48
    days = [Span(MIDNIGHT + timedelta(days=n), MIDNIGHT + timedelta(days=n + 1)) for n in (0, 1)]
    nothing_more = Page(days[0], offset=48, limit=1)
    assert calendar.pages == [*(Page(day) for day in days), nothing_more]


def test_a_day_of_a_few_rows_is_one_request() -> None:
    calendar = PagedCalendar(booked(range(9)))

    assert fetched(calendar).is_whole
    assert len(calendar.pages) == 1


@pytest.mark.parametrize("cap", [10, 100, 199])
@pytest.mark.parametrize("rows", [199, 200, 201, 230])
def test_a_vendor_that_sends_fewer_rows_than_requested_hides_none(cap: int, rows: int) -> None:
    calendar = PagedCalendar(booked(range(rows)) | {"999": MIDNIGHT + timedelta(days=1)}, cap=cap)

    found = fetched(calendar, days=2)

    assert found.is_whole
    assert identities(found) == [*map(str, range(rows)), "999"]


def test_every_page_of_the_longest_length_may_be_capped() -> None:
    one_more = {str(1000 + n): MIDNIGHT + timedelta(days=1, minutes=n) for n in range(101)}
    calendar = PagedCalendar(booked(range(100)) | one_more, cap=100)

    assert len(identities(fetched(calendar, days=2))) == 201


def test_a_damaged_record_behind_a_capped_page_is_quarantined() -> None:
    calendar = PagedCalendar(booked(range(0, 110 * 13, 13)), damaged={"105"}, cap=100)

    found = fetched(calendar)

    assert len(identities(found)) == 109
    assert len(found.failing) == 1


def test_the_day_on_which_clocks_change_has_23_hours() -> None:
    calendar = PagedCalendar()

    fetched(calendar, days=6)

    span = calendar.pages[4].span
    assert span == Span(datetime(2026, 3, 8, 6, tzinfo=UTC), datetime(2026, 3, 9, 5, tzinfo=UTC))


def test_a_full_day_is_whole_when_two_passes_agree() -> None:
    calendar = PagedCalendar(booked(range(450)))

    found = fetched(calendar)

    assert found.is_whole
    assert len(identities(found)) == 450
    assert [page.offset for page in calendar.pages] == [0, 200, 400, 0, 200, 400]


def test_a_day_of_exactly_one_page_is_asked_for_a_second_page() -> None:
    calendar = PagedCalendar(booked(range(200)))

    assert fetched(calendar).is_whole
    assert [page.offset for page in calendar.pages] == [0, 200, 0, 200]


def test_a_booking_between_two_pages_costs_a_pass_and_no_appointment() -> None:
    calendar = PagedCalendar(booked(range(10, 16)), bookings={1: {"99": MIDNIGHT}})

    found = fetched(calendar, page_rows=4)

    assert found.is_whole
    assert identities(found) == ["0", "1", "2", "3", "4", "5", "99"]


def test_a_deletion_between_two_pages_hides_a_record_from_one_pass_only() -> None:
    calendar = PagedCalendar(booked(range(6)), deletions={1: {"0"}})

    found = fetched(calendar, page_rows=4)

    # The first pass skips "4", which takes the place of a row that was sent already.
    assert found.is_whole
    assert identities(found)[-1] == "5"
    assert "4" in identities(found)


def test_a_row_too_many_on_each_page_hides_no_other_row() -> None:
    calendar = PagedCalendar(booked(range(11)), foreign={"900"})

    found = fetched(calendar, page_rows=4)

    assert found.is_whole
    assert identities(found) == [*map(str, range(11)), "900"]


def test_a_calendar_that_never_rests_proves_nothing() -> None:
    bookings = {number: {str(100 + number): MIDNIGHT} for number in range(100)}
    calendar = PagedCalendar(booked(range(6)), bookings=bookings)

    found = fetched(calendar, page_rows=4)

    assert not found.is_whole
    assert sum(page.offset == 0 for page in calendar.pages) == MOST_PASSES


def test_pages_that_never_end_are_no_calendar() -> None:
    class IgnoresOffsets(PagedCalendar):
        def __call__(self, page: Page) -> list[object]:
            return super().__call__(Page(page.span, 0, page.limit))

    with pytest.raises(ContractViolation, match="do not end"):
        fetched(IgnoresOffsets(booked(range(4))), page_rows=4)


@given(
    st.lists(minutes, max_size=12),
    st.dictionaries(st.integers(0, 12), minutes, max_size=4),
    st.dictionaries(st.integers(0, 12), st.sets(st.integers(0, 11), max_size=2), max_size=4),
    st.integers(1, 5),
)
def test_what_is_there_all_the_time_is_in_every_whole_listing(
    starts: list[int], bookings: dict[int, int], deletions: dict[int, set[int]], page_rows: int
) -> None:
    calendar = PagedCalendar(booked(starts))
    for number, minute in bookings.items():
        calendar.bookings[number] = {str(1000 + number): MIDNIGHT + timedelta(minutes=minute)}
    for number, names in deletions.items():
        calendar.deletions[number] = set(map(str, names))
    stays = set(calendar.starts).difference(*calendar.deletions.values())

    found = fetched(calendar, page_rows=page_rows)

    assert not found.is_whole or stays <= set(identities(found))


def test_a_damaged_record_is_quarantined_and_its_neighbours_are_listed() -> None:
    calendar = PagedCalendar(booked([540, 540, 540, 555, 600]), damaged={"1"})

    found = fetched(calendar)

    assert found.is_whole
    assert identities(found) == ["0", "2", "3", "4"]
    (failing,) = found.failing
    assert failing.pims_id is None
    assert failing.business_date is not None
    assert failing.business_date.isoformat() == "2026-03-04"
    assert len(calendar.pages) < 30


def test_a_damaged_records_identity_is_known_if_the_vendor_sends_that() -> None:
    calendar = PagedCalendar(booked([540, 540]), damaged={"1"}, sends_identities=True)

    (failing,) = fetched(calendar).failing

    assert (failing.record_key, failing.pims_id) == ("1", "1")


def test_a_damaged_record_has_the_same_key_in_each_listing() -> None:
    calendar = PagedCalendar(booked([540, 541]), damaged={"0", "1"})

    keys = [[each.record_key for each in fetched(calendar).failing] for _ in range(2)]

    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 2


@pytest.mark.parametrize("number", range(40))
def test_a_deletion_beside_a_damaged_record_hides_no_other(number: int) -> None:
    calendar = PagedCalendar(
        booked([540] * 4), damaged={"2"}, deletions={number: {"0"}}, sends_identities=True
    )

    found = fetched(calendar)

    assert not found.is_whole or {"1", "3"} <= set(identities(found))
    assert [each.pims_id for each in found.failing] == ["2"]


@given(st.lists(minutes, max_size=10), st.sets(st.integers(0, 9), max_size=3), st.integers(2, 6))
def test_only_damaged_records_are_missing(
    starts: list[int], damaged: set[int], page_rows: int
) -> None:
    names = {str(number) for number in damaged if number < len(starts)}
    calendar = PagedCalendar(booked(starts), damaged=names)

    found = fetched(calendar, page_rows=page_rows)

    assert set(identities(found)) == set(calendar.starts) - names
    assert len(found.failing) == len(names)


def test_a_vendor_that_is_down_is_not_searched_for_damaged_records() -> None:
    class Down(PagedCalendar):
        def __call__(self, page: Page) -> list[object]:
            self.damaged = {"0"}
            return super().__call__(Page(page.span, 0, page.limit))

    calendar = Down(booked([540]))
    with pytest.raises(TransientError) as raised:
        fetched(calendar)

    assert type(raised.value) is TransientError
    assert len(calendar.pages) == 2


def test_the_search_for_damaged_records_ends() -> None:
    calendar = PagedCalendar(booked(range(0, 1440, 10)))
    calendar.damaged = set(calendar.starts)

    with pytest.raises(TransientError) as raised:
        fetched(calendar)

    assert type(raised.value) is TransientError
    assert len(calendar.pages) < 3 * MOST_FAULTS
