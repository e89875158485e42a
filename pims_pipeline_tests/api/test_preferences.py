"""``Prefer: wait`` as clients write it, and the cursors of the list."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.api.request_options import BadCursor, cursor_of, cursor_text, preferred_wait
from pims_pipeline.store.queries.syncs import SyncCursor

PLACE = SyncCursor(datetime(2026, 3, 9, 14, 0, 0, 123456, tzinfo=UTC), UUID(int=7))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        (["wait=10"], 10),
        (["WAIT = 10"], 10),
        (['wait="10"'], 10),
        (["respond-async, wait=10; strict"], 10),
        (["respond-async", "wait=10"], 10),
        (["wait=10, wait=20"], 10),
        (["wait=120"], 120),
        (["wait=9999"], 120),
        (["wait=0"], 0),
        (["respond-async"], 0),
        (["Respond-Async; x=1, handling=lenient"], 0),
        (["wait=0, wait=10"], 0),
        (["respond-async, wait=ten"], 0),
        (["handling=lenient"], None),
        (["wait"], None),
        (["wait="], None),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=ten"], None),
        (["wait=٣"], None),
        (["wait=" + "9" * 5000], None),
        (['note="a, wait=10"'], None),
        (["await=10"], None),
    ],
)
def test_only_a_well_formed_wait_is_honoured(headers: list[str], seconds: int | None) -> None:
    assert preferred_wait(headers) == seconds


@given(st.lists(st.text()))
def test_any_header_can_be_parsed(headers: list[str]) -> None:
    seconds = preferred_wait(headers)

    assert seconds is None or 0 <= seconds <= 120


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_names_its_position_to_the_microsecond(time: datetime, sync_id: UUID) -> None:
    place = SyncCursor(time, sync_id)

    assert cursor_of(cursor_text(place)) == place


def _written(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "not a cursor",
        cursor_text(PLACE)[:-1],
        cursor_text(PLACE) + "=",
        cursor_text(PLACE) + "A",
        _written("2026-03-09T14:00:00|" + "0" * 32),
        _written("0001-01-01T00:00:00+23:00|" + "0" * 32),
        _written("2026-03-09|" + "0" * 32),
        _written("2026-03-09T14:00:00+00:00|7"),
        _written("2026-03-09T14:00:00+00:00"),
        _written("\udcff".encode("utf-8", "surrogateescape").decode("latin-1")),
    ],
)
def test_a_cursor_that_the_api_did_not_create_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        cursor_of(cursor)
