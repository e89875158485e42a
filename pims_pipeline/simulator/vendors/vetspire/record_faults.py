"""Faults in the rows of a listing: of the whole calendar before it is paged, and of one page.

``faults`` decides which of them apply to a request.
"""

from collections.abc import Callable, Iterable, Sequence

from pims_pipeline.simulator.faults import UNKNOWN_STATUS, Fault, FaultKind
from pims_pipeline.simulator.practice.calendar import Calendar
from pims_pipeline.simulator.practice.entries import Entry
from pims_pipeline.simulator.vendors.vetspire.wire import Row

Found = tuple[Calendar, Entry]
_FOREIGN_LOCATION: Row = {"id": "9999", "name": "Another location", "timezone": "Etc/UTC"}
_FOREIGN_ID = "77000000001"
_NO_IDS = ("0", "")


class Poisoned(Exception):
    """A row of the page cannot be shown, so that the whole page fails."""


def change_calendar(faults: Iterable[Fault], found: Sequence[Found]) -> Sequence[Found]:
    """What a listing finds, before a page is cut out of it."""
    for fault in faults:
        match fault.kind:
            case FaultKind.EMPTY_CALENDAR:
                found = []
            case FaultKind.DUPLICATES:
                found = [*found, *found[: max(1, len(found) // 2)]]
            case FaultKind.DROP_RECORD:
                found = [each for each in found if each[1].id != fault.appointment_id]
    return found


def change_page(faults: Iterable[Fault], rows: list[Row], foreign: Callable[[], Row]) -> list[Row]:
    """The rows of one page.

    Args:
        faults: The faults that apply.
        rows: The sound rows.
        foreign: Gives a row of another location of the key, or an empty one if it has none.

    Raises:
        Poisoned: If the page holds a row that cannot be shown.
    """
    for fault in faults:
        match fault.kind:
            case FaultKind.POISONED_ROW:
                if str(fault.appointment_id) in {row["id"] for row in rows}:
                    raise Poisoned
            case FaultKind.OTHER_LOCATION:
                rows = [*rows, *_foreign_rows(rows, foreign())]
            case FaultKind.RECORD_WITHOUT_ID:
                rows = _without(rows, "id")
            case FaultKind.RECORD_WITHOUT_START:
                rows = _without(rows, "start")
            case FaultKind.ZERO_IDS:
                rows = [*rows, *({**row, "id": no_id} for no_id in _NO_IDS for row in rows[:1])]
            case FaultKind.UNKNOWN_WORDS:
                rows = [{**row, "status": UNKNOWN_STATUS} for row in rows]
    return rows


def _foreign_rows(rows: Sequence[Row], foreign: Row) -> Iterable[Row]:
    if foreign:
        return [foreign]
    return [{**row, "id": _FOREIGN_ID, "location": _FOREIGN_LOCATION} for row in rows[:1]]


def _without(rows: list[Row], name: str) -> list[Row]:
    """The rows, with ``name`` empty in the first appointment, or else in the first row."""
    place = next((number for number, row in enumerate(rows) if row["patient"]), 0)
    return [{**row, name: None} if n == place else row for n, row in enumerate(rows)]
