"""The fields of the event that records what a listing changed; users and commands read them."""

import json
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from pims_pipeline.domain.records.appointments import Client, Patient, appointment_payload
from pims_pipeline.domain.records.canonical import digest
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline_tests.domain.memory import MemoryStore, store_after
from pims_pipeline_tests.domain.planning.inbound.listings import APPOINTMENT, kinds, listing

FULL = replace(
    APPOINTMENT,
    patient=Patient(id="p", name="Mishka", species="Feline"),
    client=Client(id="c", name="Sam Booker", phone="(555) 555-0101"),
    provider="Dr. Fenwick",
    room="Room 1",
    reason="Itchy ears",
)
OTHER = replace(
    FULL,
    scheduled_start=FULL.scheduled_start + timedelta(days=1, hours=1),
    scheduled_end=FULL.scheduled_end + timedelta(days=1, hours=1),
    business_date=FULL.business_date + timedelta(days=1),
    status="In Progress",
    appointment_type="Surgery",
    patient=Patient(id="p", name="Pip", species="Avian"),
    client=Client(id="c", name="Robin Smith", phone="(555) 555-0102"),
    provider="Dr. Rivera",
    room="Surgery",
    reason="Broken wing",
)


def test_the_event_of_a_new_case_has_every_known_field() -> None:
    (write,) = MemoryStore().plan(listing(FULL)).case_writes
    assert dict(write.changes) == {
        "patient_name": (None, "Mishka"),
        "patient_species": (None, "Feline"),
        "client_name": (None, "Sam Booker"),
        "client_phone": (None, "(555) 555-0101"),
        "scheduled_date": (None, "2026-03-05"),
        "scheduled_start": (None, "2026-03-05T15:00:00+00:00"),
        "scheduled_end": (None, "2026-03-05T16:00:00+00:00"),
        "status": (None, "draft"),
        "case_type": (None, "checkup"),
        "appointment.status": (None, "not arrived"),
        "appointment.type": (None, "Exam"),
        "appointment.provider": (None, "Dr. Fenwick"),
        "appointment.room": (None, "Room 1"),
        "appointment.reason": (None, "Itchy ears"),
    }


def test_the_event_of_a_changed_case_has_every_field_before_and_after() -> None:
    (write,) = store_after([listing(FULL)]).plan(listing(OTHER, at=5)).case_writes
    assert dict(write.changes) == {
        "patient_name": ("Mishka", "Pip"),
        "patient_species": ("Feline", "Avian"),
        "client_name": ("Sam Booker", "Robin Smith"),
        "client_phone": ("(555) 555-0101", "(555) 555-0102"),
        "scheduled_date": ("2026-03-05", "2026-03-06"),
        "scheduled_start": ("2026-03-05T15:00:00+00:00", "2026-03-06T16:00:00+00:00"),
        "scheduled_end": ("2026-03-05T16:00:00+00:00", "2026-03-06T17:00:00+00:00"),
        "status": ("draft", "ongoing"),
        "case_type": ("checkup", "surgery"),
        "appointment.status": ("not arrived", "In Progress"),
        "appointment.type": ("Exam", "Surgery"),
        "appointment.provider": ("Dr. Fenwick", "Dr. Rivera"),
        "appointment.room": ("Room 1", "Surgery"),
        "appointment.reason": ("Itchy ears", "Broken wing"),
    }


def test_another_date_alone_is_a_new_schedule() -> None:
    """As when a clinic's time zone is corrected: the same time falls on another date."""
    store = store_after([listing(FULL)])
    redated = replace(FULL, business_date=FULL.business_date + timedelta(days=1))
    assert kinds(store.plan(listing(redated, at=5))) == [EventKind.RESCHEDULED]


def test_the_server_s_own_zone_shows_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        (write,) = MemoryStore().plan(listing(FULL)).case_writes
        changes = write.changes
    finally:
        monkeypatch.undo()
        time.tzset()
    assert changes["scheduled_start"] == (None, "2026-03-05T15:00:00+00:00")
    assert changes["scheduled_end"] == (None, "2026-03-05T16:00:00+00:00")


def test_what_is_landed_and_written_names_the_record_it_comes_from() -> None:
    for store, appointment in ((MemoryStore(), FULL), (store_after([listing(FULL)]), OTHER)):
        plan = store.plan(listing(appointment, at=5))
        [landing], [write] = plan.landings, plan.case_writes
        assert json.loads(landing.payload) == appointment_payload(appointment)
        assert write.digest == landing.digest == digest(landing.payload)


def test_a_user_s_choice_is_no_change_by_the_vendor() -> None:
    store = store_after([listing(OTHER)])
    store.edit("a", status=CaseStatus.REVIEWED, case_type=CaseType.EMERGENCY)
    renamed = replace(OTHER, patient=Patient(id="p", name="Pippin", species="Avian"))
    (write,) = store.plan(listing(renamed, at=5)).case_writes
    assert dict(write.changes) == {"patient_name": ("Pip", "Pippin")}
    assert (write.status, write.case_type) == (None, None)
