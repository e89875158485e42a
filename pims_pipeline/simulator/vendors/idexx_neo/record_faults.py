"""Faults in the records of a listing, each of which is JSON text.

``faults`` decides which of them apply to a request.
"""

import json
from collections.abc import Iterable

from pims_pipeline.simulator.faults import Fault, FaultKind

_DECIDING = {
    FaultKind.RECORD_WITHOUT_ID: ("id", "appointment_id"),
    FaultKind.RECORD_WITHOUT_START: ("start",),
}


def change_records(faults: Iterable[Fault], records: list[str]) -> list[str]:
    """The listing's records with the faults."""
    for fault in faults:
        match fault.kind:
            case FaultKind.EMPTY_CALENDAR:
                records = []
            case FaultKind.DUPLICATES:
                records = [*records, *records[: max(1, len(records) // 2)]]
            case FaultKind.RECORD_WITHOUT_ID | FaultKind.RECORD_WITHOUT_START:
                records = _without(records, *_DECIDING[fault.kind])
            case FaultKind.DROP_RECORD:
                records = [text for text in records if _own_id(text) != fault.appointment_id]
            case FaultKind.ZERO_IDS:
                records = _with_zero_ids(records)
    return records


def _with_zero_ids(records: list[str]) -> list[str]:
    """The records with ``id`` alone, and the first one twice more without any identity."""
    by_id = [json.loads(text) | {"id": _own_id(text), "appointment_id": 0} for text in records]
    nameless = [record | {"id": 0, "appointment_id": "0"} for record in by_id[:1]] * 2
    return [json.dumps(record, ensure_ascii=False) for record in (*by_id, *nameless)]


def _without(records: list[str], *names: str) -> list[str]:
    """The records, with ``names`` missing in the first appointment, or else the first record."""
    if not records:
        return records
    with_patient = (n for n, text in enumerate(records) if json.loads(text)["patient_name"])
    place = next(with_patient, 0)
    kept = {key: value for key, value in json.loads(records[place]).items() if key not in names}
    return [*records[:place], json.dumps(kept, ensure_ascii=False), *records[place + 1 :]]


def _own_id(text: str) -> int:
    record = json.loads(text)
    return int(record.get("appointment_id") or record["id"])
