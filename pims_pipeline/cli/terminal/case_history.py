"""A case history as lines of text or as JSON. Its content belongs in ``sync.provenance``."""

import json
from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.observability.printable import printable
from pims_pipeline.store.queries.case_history import CaseHistory
from pims_pipeline.sync.provenance import (
    CaseProvenance,
    RecordSource,
    TracedEvent,
    provenance_of,
)
from pims_pipeline.wire.cases import Provenance
from pims_pipeline.wire.shape import utc_text

LONGEST_VALUE = 120
"""Characters of a value that are shown; JSON has all of it."""

_SHORT_DIGEST = 12


def print_history(history: CaseHistory, *, dagster_ui_url: str, as_json: bool) -> None:
    """Print a case and its history, with links to its runs in the Dagster UI."""
    provenance = provenance_of(history, dagster_ui_url=dagster_ui_url)
    if as_json:
        print_json(Provenance.of(provenance))
        return
    for line in history_lines(provenance):
        say(line)


def history_lines(provenance: CaseProvenance) -> Iterator[str]:
    """The lines that show a case and its history."""
    yield from _summary(provenance.case)
    for event in provenance.events:
        yield ""
        yield from _event(event, provenance.case.timezone)
    if not provenance.events:
        yield ""
        yield "It has no recorded history: it was created by hand, or before history was recorded."


def _summary(case: CaseHistory) -> Iterator[str]:
    species = f" ({case.patient_species})" if case.patient_species else ""
    yield printable(f"{case.patient_name}{species}, {case.client_name}")
    when = _local_time(case)
    yield f"{case.scheduled_date} {when}, {case.case_type}, {case.status}{_mark(case)}"
    origin = f"{case.provider_type} {case.pims_id}" if case.pims_id else "created by hand"
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


def _event(event: TracedEvent, timezone: str) -> Iterator[str]:
    stored, local = event.stored, event.occurred_at_local
    yield (f"{local:%Y-%m-%d %H:%M:%S} {timezone} ({utc_text(stored.occurred_at)})  {stored.kind}")
    for name, change in stored.changes.items():
        yield f"    {name}: {_changed(change)}"
    if stored.audit_id is None:
        yield f"  by the adoption of its clinic, for {stored.partition_key}"
        return
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
    """As JSON, so that no control character reaches the terminal; shortened."""
    if value is None:
        return "nothing"
    text = printable(json.dumps(value, ensure_ascii=False))
    if len(text) <= LONGEST_VALUE:
        return text
    return f"{text[:LONGEST_VALUE]}… ({len(text)} characters)"


def _source(source: RecordSource) -> str:
    changed = source.vendor_updated_at
    when = (
        f"last changed there at {utc_text(changed)}"
        if changed
        else "time of its last change unknown"
    )
    return f"the vendor's {source.record} {source.digest[:_SHORT_DIGEST]}, {when}"
