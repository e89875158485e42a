"""A case's story in words, for a terminal. What is told stands in ``sync.provenance``."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from pims_pipeline.observability.printable import printable
from pims_pipeline.sync.provenance import Provenance, ProvenanceEvent, Source

LONGEST_VALUE = 120
"""Characters of a value that a terminal shows; JSON holds all of it."""

_SHORT_DIGEST = 12


def told_story(told: Provenance) -> Iterator[str]:
    """The lines that tell of a case and of everything that happened to it."""
    yield from _summary(told)
    for event in told["events"]:
        yield ""
        yield from _event(event, told["timezone"])
    if not told["events"]:
        yield ""
        yield "Nothing is recorded of it: people made it, or it stems from before the records."


def _summary(told: Provenance) -> Iterator[str]:
    species = f" ({told['patientSpecies']})" if told["patientSpecies"] else ""
    yield printable(f"{told['patientName']}{species}, {told['clientName']}")
    when = _local_time(told)
    yield f"{told['scheduledDate']} {when}, {told['caseType']}, {told['status']}{_mark(told)}"
    origin = f"{told['providerType']} {told['pimsId']}" if told["pimsId"] else "made by people"
    yield printable(f"{told['clinic']}, {origin}, case {told['id']}")


def _local_time(told: Provenance) -> str:
    if told["scheduledStart"] is None:
        return told["timezone"]
    start = datetime.fromisoformat(told["scheduledStart"])
    return f"{start.astimezone(ZoneInfo(told['timezone'])):%H:%M} {told['timezone']}"


def _mark(told: Provenance) -> str:
    retired = told["metadata"].get("reconciliation")
    if not isinstance(retired, Mapping) or not retired.get("softDeleted"):
        return ""
    return f", retired ({retired.get('reason')})"


def _event(event: ProvenanceEvent, timezone: str) -> Iterator[str]:
    local = datetime.fromisoformat(event["occurredAtLocal"])
    yield f"{local:%Y-%m-%d %H:%M:%S} {timezone} ({event['occurredAt']})  {event['kind']}"
    for name, change in event["changes"].items():
        yield f"    {name}: {_changed(change)}"
    yield f"  by {event['phase']} of {event['partitionKey']}, audit {event['syncId']}"
    yield f"  run {event['runId']}: {event['runUrl']}"
    if event["source"] is not None:
        yield f"  from {_source(event['source'])}"
    accesses = [
        f"for {each['purpose']} at {each['accessedAt']}" for each in event["credentialAccesses"]
    ]
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
    changed = source["vendorUpdatedAt"]
    when = f"last changed there at {changed}" if changed else "time of its last change unknown"
    return f"the vendor's {source['record']} {source['digest'][:_SHORT_DIGEST]}, {when}"
