"""A case's story in words, for a terminal. What is told stands in ``sync.provenance``."""

import json
from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from pims_pipeline.observability.printable import printable
from pims_pipeline.store.queries.case_history import CaseHistory
from pims_pipeline.sync.provenance import Provenance, ProvenanceEvent, Source
from pims_pipeline.wire.shape import utc_text

LONGEST_VALUE = 120
"""Characters of a value that a terminal shows; JSON holds all of it."""

_SHORT_DIGEST = 12


def history_lines(told: Provenance) -> Iterator[str]:
    """The lines that tell of a case and of everything that happened to it."""
    yield from _summary(told.case)
    for event in told.events:
        yield ""
        yield from _event(event, told.case.timezone)
    if not told.events:
        yield ""
        yield "Nothing is recorded of it: people made it, or it stems from before the records."


def _summary(case: CaseHistory) -> Iterator[str]:
    species = f" ({case.patient_species})" if case.patient_species else ""
    yield printable(f"{case.patient_name}{species}, {case.client_name}")
    when = _local_time(case)
    yield f"{case.scheduled_date} {when}, {case.case_type}, {case.status}{_mark(case)}"
    origin = f"{case.provider_type} {case.pims_id}" if case.pims_id else "made by people"
    yield printable(f"{case.clinic}, {origin}, case {case.id}")


def _local_time(case: CaseHistory) -> str:
    if case.scheduled_start is None:
        return case.timezone
    return f"{case.scheduled_start.astimezone(ZoneInfo(case.timezone)):%H:%M} {case.timezone}"


def _mark(case: CaseHistory) -> str:
    retired = case.metadata.get("reconciliation")
    if not isinstance(retired, Mapping) or not retired.get("softDeleted"):
        return ""
    return f", retired ({retired.get('reason')})"


def _event(event: ProvenanceEvent, timezone: str) -> Iterator[str]:
    stored, local = event.stored, event.occurred_at_local
    yield (f"{local:%Y-%m-%d %H:%M:%S} {timezone} ({utc_text(stored.occurred_at)})  {stored.kind}")
    for name, change in stored.changes.items():
        yield f"    {name}: {_changed(change)}"
    yield f"  by {stored.phase} of {stored.partition_key}, audit {stored.audit_id}"
    yield f"  run {stored.run_id}: {event.run_url}"
    if event.source is not None:
        yield f"  from {_source(event.source)}"
    accesses = [f"for {each.purpose} at {utc_text(each.accessed_at)}" for each in event.accesses]
    yield f"  secrets decrypted by this run: {', '.join(accesses) or 'none'}"


def _changed(change: object) -> str:
    if isinstance(change, list | tuple) and len(change) == len(("before", "after")):
        before, after = change
        return f"{_value(before)} → {_value(after)}"
    return _value(change)


def _value(value: object) -> str:
    """As JSON, which lets no control character reach the terminal; shortened."""
    if value is None:
        return "nothing"
    said = printable(json.dumps(value, ensure_ascii=False))
    if len(said) <= LONGEST_VALUE:
        return said
    return f"{said[:LONGEST_VALUE]}… ({len(said)} characters)"


def _source(source: Source) -> str:
    changed = source.vendor_updated_at
    when = (
        f"last changed there at {utc_text(changed)}"
        if changed
        else "time of its last change unknown"
    )
    return f"the vendor's {source.record} {source.digest[:_SHORT_DIGEST]}, {when}"
