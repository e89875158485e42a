"""Appointments as JSON and back, and the digest by which two are compared."""

import json
import random
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    Client,
    Patient,
    PimsAppointment,
    Proof,
    QuarantinedRecord,
    RecordKind,
    Snapshot,
    appointment_from_payload,
    appointment_payload,
)
from pims_pipeline.domain.records.canonical import canonical_json, digest
from pims_pipeline.domain.records.words import CaseType
from pims_pipeline_tests.domain.strategies import WEEK, appointments, snapshots

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def digest_of(appointment: PimsAppointment) -> str:
    return digest(canonical_json(appointment_payload(appointment)))


@given(appointments())
def test_an_appointment_survives_its_payload(appointment: PimsAppointment) -> None:
    payload = json.loads(canonical_json(appointment_payload(appointment)))
    again = appointment_from_payload(payload)
    assert again == appointment
    assert digest_of(again) == digest_of(appointment)


def shuffled(payload: dict[str, Any], seed: int) -> dict[str, Any]:
    keys = list(payload)
    random.Random(seed).shuffle(keys)  # noqa: S311 - an order, not a secret
    return {
        key: shuffled(payload[key], seed) if isinstance(payload[key], dict) else payload[key]
        for key in keys
    }


@given(appointments(), st.integers())
def test_the_digest_does_not_depend_on_the_order_of_keys(
    appointment: PimsAppointment, seed: int
) -> None:
    payload = appointment_payload(appointment)
    assert digest(canonical_json(shuffled(payload, seed))) == digest(canonical_json(payload))


@given(appointments(), appointments())
def test_any_two_different_appointments_have_different_digests(
    one: PimsAppointment, other: PimsAppointment
) -> None:
    for each in fields(PimsAppointment):
        value = getattr(other, each.name)
        edited = replace(one, **{each.name: value})
        assert (digest_of(edited) == digest_of(one)) == (edited == one), each.name


PLAIN = PimsAppointment(
    appointment_id="1",
    scheduled_start=NOON,
    scheduled_end=NOON + timedelta(minutes=30),
    business_date=NOON.date(),
)
EDITS: dict[str, Any] = {
    "appointment_id": "2",
    "scheduled_start": NOON - timedelta(microseconds=1),
    "scheduled_end": NOON + timedelta(minutes=31),
    "business_date": NOON.date() + timedelta(days=1),
    "status": "Confirmed",
    "consultation_id": "9",
    "appointment_type": "",
    "patient": Patient(id="3"),
    "client": Client(id="4"),
    "provider": "",
    "room": "",
    "reason": "",
    "notes": "",
    "kind": RecordKind.BLOCK,
    "vendor_updated_at": NOON,
    "series_id": "1",
    "stated_type": CaseType.SURGERY,
}


BESIDE_THE_PAYLOAD = {"resources", "left_out"}
"""Stored in columns of their own, so that records of before keep their digests."""


@pytest.mark.parametrize("change", [{"resources": ("room:1",)}, {"left_out": True}])
def test_the_digest_does_not_depend_on_what_is_stored_beside_the_payload(
    change: dict[str, Any],
) -> None:
    assert change.keys() <= BESIDE_THE_PAYLOAD
    assert digest_of(replace(PLAIN, **change)) == digest_of(PLAIN)


@pytest.mark.parametrize(
    "name", [each.name for each in fields(PimsAppointment) if each.name not in BESIDE_THE_PAYLOAD]
)
def test_the_digest_notices_a_change_of_any_field(name: str) -> None:
    assert digest_of(replace(PLAIN, **{name: EDITS[name]})) != digest_of(PLAIN)


@pytest.mark.parametrize("name", [each.name for each in fields(Patient)])
def test_the_digest_notices_a_change_of_the_patient(name: str) -> None:
    edited = replace(PLAIN, patient=replace(PLAIN.patient, **{name: "x"}))
    assert digest_of(edited) != digest_of(PLAIN)


@pytest.mark.parametrize("name", [each.name for each in fields(Client)])
def test_the_digest_notices_a_change_of_the_client(name: str) -> None:
    edited = replace(PLAIN, client=replace(PLAIN.client, **{name: "x"}))
    assert digest_of(edited) != digest_of(PLAIN)


def test_a_broken_emoji_is_digested_unchanged() -> None:
    broken = {each: digest(canonical_json({"notes": each})) for each in ("\ud83d", "\ud83e", "?")}
    assert len(set(broken.values())) == len(broken)


def test_canonical_json_is_compact_sorted_and_keeps_every_script() -> None:
    assert (
        canonical_json({"b": 1, "a": {"d": None, "c": "猫"}}) == '{"a":{"c":"猫","d":null},"b":1}'
    )


def test_a_payload_is_written_in_the_wire_s_names() -> None:
    assert set(appointment_payload(PLAIN)) == {
        "appointmentId",
        "consultationId",
        "scheduledStart",
        "scheduledEnd",
        "businessDate",
        "status",
        "appointmentType",
        "patient",
        "client",
        "provider",
        "room",
        "reason",
        "notes",
        "kind",
        "vendorUpdatedAt",
    }
    assert appointment_payload(PLAIN)["scheduledStart"] == "2026-03-05T12:00:00+00:00"


def unreadable(pims_id: str | None) -> QuarantinedRecord:
    return QuarantinedRecord(
        record_key="k", error_class="ContractViolation", error_message="no start", pims_id=pims_id
    )


@pytest.mark.parametrize(
    ("quarantined", "hides"),
    [
        ((), False),
        ((unreadable("1"),), False),
        ((unreadable(None),), True),
        ((unreadable("1"), unreadable(None)), True),
    ],
)
def test_a_listing_hides_identities_when_one_could_not_be_read(
    quarantined: tuple[QuarantinedRecord, ...], *, hides: bool
) -> None:
    snapshot = Snapshot(
        window=WEEK,
        appointments=(),
        fetched_at=NOON,
        proof=Proof.ONE_RESPONSE,
        quarantined=quarantined,
    )
    assert snapshot.hides_identities is hides


@pytest.mark.parametrize(
    ("found", "deleted", "kind", "exists"),
    [
        (True, False, RecordKind.APPOINTMENT, True),
        (False, False, RecordKind.APPOINTMENT, False),
        (True, True, RecordKind.APPOINTMENT, False),
        (True, False, RecordKind.BLOCK, False),
        (True, False, RecordKind.ROSTER, False),
    ],
)
def test_an_appointment_exists_when_it_is_found_and_still_an_appointment(
    kind: RecordKind, *, found: bool, deleted: bool, exists: bool
) -> None:
    lookup = AppointmentLookup(
        appointment_id="1", asked_at=NOON, found=found, deleted=deleted, kind=kind
    )
    assert lookup.exists is exists


@given(snapshots())
def test_generated_listings_obey_the_contract(snapshot: Snapshot) -> None:
    identities = [each.appointment_id for each in snapshot.appointments]
    assert len(identities) == len(set(identities))
    assert all(each.business_date in snapshot.window for each in snapshot.appointments)
    assert all(each.scheduled_start.tzinfo is UTC for each in snapshot.appointments)
