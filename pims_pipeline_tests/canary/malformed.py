"""Responses with a canary in the place of each of their values, read by the real parsers."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import AppointmentLookup, Snapshot
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.domain.records.shapes import named
from pims_pipeline.providers.idexx_neo.parsing.consultation import parse_consultation
from pims_pipeline.providers.idexx_neo.parsing.responses import parse_listing, parse_lookup
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.simulator.state import build_simulator
from pims_pipeline.simulator.vendors.idexx_neo.wire import (
    Json,
    appointment_body,
    consultation_body,
    listing_record,
)
from pims_pipeline_tests.canary.canaries import Canary
from pims_pipeline_tests.canary.practice import Practice

PARSERS = "errors of the parsers"
"""The place of their errors in the evidence."""
SHAPES = "shapes of the responses"
"""The place of the responses' shapes in the evidence."""
_Parsed = Snapshot | AppointmentLookup | PimsConsultation | None


def parse_malformed(practice: Practice, found: Canary) -> set[str]:
    """Parse responses with ``found`` in the place of each of their values, and around them.

    Errors and quarantined records are added to the evidence.

    Returns:
        The classes of the errors.
    """
    config = practice.simulator.config
    simulated = build_simulator(config).practices[config.clinics[0].company_id]
    yesterday = practice.days.start
    entry, consultation = next(
        (entry, consultation)
        for day in simulated.calendar.days(yesterday - timedelta(days=30), yesterday)
        for entry in day
        if entry.client and (consultation := simulated.calendar.consultation_of(entry))
    )
    window = DateRange(entry.start.date(), entry.start.date())
    listing: Json = [listing_record(entry, simulated.clinic.company_id)]
    now, zone = datetime.now(UTC), simulated.clinic.zone

    def listing_of(body: bytes) -> Snapshot:
        return parse_listing(body, window=window, zone=zone, fetched_at=now)

    [known] = listing_of(json.dumps(listing).encode()).appointments

    def lookup_of(body: bytes) -> AppointmentLookup:
        return parse_lookup(body, appointment_id=known.appointment_id, zone=zone, asked_at=now)

    def consultation_of_body(body: bytes) -> PimsConsultation | None:
        return parse_consultation(body, appointment=known)

    lookup: Json = appointment_body(entry, simulated.clinic.company_id)
    record: Json = consultation_body(entry, consultation, simulated.clinic)
    kinds: set[str] = set()
    for body in _malformed(listing, found):
        kinds |= _refusals(practice, listing_of, body)
    for body in _malformed(lookup, found):
        kinds |= _refusals(practice, lookup_of, body)
    for body in _malformed(record, found):
        kinds |= _refusals(practice, consultation_of_body, body)
    return kinds


def _malformed(response: Json, found: Canary) -> Iterator[bytes]:
    """The response with each part in turn replaced by something that holds ``found``."""
    text, [name] = found.text, found.pieces
    instead: tuple[Json, ...] = (text, [text], {text: text}, {name: text}, [[text]], {"id": text})
    for odd in instead:
        for each in _with_one_part_replaced(response, odd):
            yield json.dumps(each).encode()
    whole, word = json.dumps(response).encode(), text.encode()
    yield from (word, b"<p>" + word, whole + word, whole[:-1] + b', "' + word, b"\xff" + word)
    yield whole.replace(b"{", b'{"' + word + b'": [', 1)
    yield b"[" * 100_000 + word


def _with_one_part_replaced(part: Json, odd: Json) -> Iterator[Json]:
    yield odd
    if isinstance(part, dict):
        for name, value in part.items():
            yield from ({**part, name: each} for each in _with_one_part_replaced(value, odd))
    elif isinstance(part, list):
        for place, value in enumerate(part):
            for each in _with_one_part_replaced(value, odd):
                yield [*part[:place], each, *part[place + 1 :]]


def _refusals(practice: Practice, parse: Callable[[bytes], _Parsed], body: bytes) -> set[str]:
    """The classes of errors, or of quarantined records, of parsing ``body``."""
    try:
        parsed = parse(body)
    except Exception as error:  # noqa: BLE001 - any error is evidence
        practice.evidence.add_error(PARSERS, error)
        if isinstance(error, ContractViolation):
            practice.evidence.add(SHAPES, named(error.shapes))
        return {type(error).__name__}
    practice.evidence.add(SHAPES, named(parsed.shapes) if parsed else ())
    quarantined = parsed.quarantined if isinstance(parsed, Snapshot) else ()
    for record in quarantined:
        # The id of a record may show the canary: it is the vendor's value as it is.
        practice.evidence.add("quarantine", f"{record.error_class}: {record.error_message}")
    return {record.error_class for record in quarantined}
