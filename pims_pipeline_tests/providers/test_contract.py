"""What every provider promises of listings, lookups, consultations and logins."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pims_pipeline.domain.clinics import DateRange, business_date, local_to_utc
from pims_pipeline.domain.records.appointments import PimsAppointment, RecordKind
from pims_pipeline.providers.port import (
    Credentials,
    HumanNeeded,
    SessionExpired,
)
from pims_pipeline_tests.providers.contract_harness import (
    DAY,
    WINDOW,
    Harness,
    at,
    finished_appointment,
    listed,
)


def test_a_right_password_logs_in_and_a_wrong_one_is_refused(
    harness: Harness, tmp_path: Path
) -> None:
    provider = harness.provider()
    wrong = Credentials({**harness.credentials.fields, "password": "not it"})
    assert provider.authenticate(wrong) is False
    with pytest.raises(SessionExpired):
        provider.fetch_appointments(WINDOW)
    assert provider.authenticate(harness.credentials) is True
    identity = harness.book(at(9))
    assert identity in listed(provider)
    assert not list(tmp_path.glob("*.png")), "pictures belong into the artifacts directory"


def test_a_login_that_only_a_person_can_finish_leaves_no_session(harness: Harness) -> None:
    provider = harness.provider()
    harness.ask_for_a_person()
    with pytest.raises(HumanNeeded):
        provider.authenticate(harness.credentials)
    with pytest.raises(SessionExpired):
        provider.fetch_appointments(WINDOW)
    with pytest.raises(SessionExpired):
        provider.export_session()


def test_a_booked_appointment_is_listed_in_utc_on_its_local_date(harness: Harness) -> None:
    late = harness.book(at(23))
    found = listed(harness.warm_provider(), DateRange(DAY, DAY))[late]
    assert found.scheduled_start == local_to_utc(at(23), harness.zone)
    assert found.scheduled_start.utcoffset() == timedelta(0)
    assert found.scheduled_end > found.scheduled_start
    assert found.business_date == DAY
    assert found.kind is RecordKind.APPOINTMENT


def test_a_listing_holds_its_window_and_no_other_date(harness: Harness) -> None:
    inside = harness.book(at(9))
    before = harness.book(at(23, day=DAY - timedelta(days=1)))
    after = harness.book(at(0, day=DAY + timedelta(days=1)))
    snapshot = harness.warm_provider().fetch_appointments(DateRange(DAY, DAY))
    found = {record.appointment_id: record for record in snapshot.appointments}
    assert inside in found
    assert not {before, after} & found.keys()
    assert {record.business_date for record in found.values()} == {DAY}
    assert snapshot.window == DateRange(DAY, DAY)
    assert snapshot.complete


def test_a_listing_names_each_identity_once(harness: Harness) -> None:
    harness.book(at(9))
    found = harness.warm_provider().fetch_appointments(WINDOW).appointments
    assert len({record.appointment_id for record in found}) == len(found)


def test_a_listing_is_one_request(harness: Harness) -> None:
    provider = harness.warm_provider()
    before = harness.requests("listing")
    provider.fetch_appointments(DateRange(DAY, DAY + timedelta(days=30)))
    assert harness.requests("listing") == before + 1


def test_a_snapshot_is_dated_before_its_request(harness: Harness) -> None:
    provider = harness.warm_provider()
    before = datetime.now(UTC)
    fetched_at = provider.fetch_appointments(WINDOW).fetched_at
    assert before <= fetched_at <= datetime.now(UTC)
    assert fetched_at.utcoffset() == timedelta(0)


def test_a_moved_appointment_is_listed_on_its_new_date(harness: Harness) -> None:
    identity = harness.book(at(9))
    later = DAY + timedelta(days=1)
    harness.move(identity, at(14, day=later))
    provider = harness.warm_provider()
    assert identity not in listed(provider, DateRange(DAY, DAY))
    assert listed(provider, DateRange(later, later))[identity].business_date == later


def test_a_cancelled_appointment_stays_listed_and_a_deleted_one_does_not(harness: Harness) -> None:
    cancelled, deleted = harness.book(at(9)), harness.book(at(10))
    harness.cancel(cancelled)
    harness.delete(deleted)
    found = listed(harness.warm_provider())
    assert found[cancelled].status.lower() == "cancelled"
    assert deleted not in found


def test_a_block_is_distinguished_from_an_appointment(harness: Harness) -> None:
    identity = harness.block()
    assert listed(harness.warm_provider())[identity].kind is RecordKind.BLOCK


def test_a_finished_appointment_has_its_consultation(harness: Harness) -> None:
    provider = harness.warm_provider()
    appointment = finished_appointment(harness, provider)
    consultation = provider.fetch_consultation(appointment)
    assert consultation is not None
    assert consultation.appointment_id == appointment.appointment_id
    assert consultation.consultation_id == appointment.consultation_id
    assert "Well again." in (consultation.notes or "")


def test_an_appointment_without_consultation_is_not_asked_for(harness: Harness) -> None:
    identity = harness.book(at(9))
    provider = harness.warm_provider()
    appointment = listed(provider)[identity]
    before = harness.requests("consultation")
    assert appointment.consultation_id is None
    assert provider.fetch_consultation(appointment) is None
    assert harness.requests("consultation") == before


def test_an_unknown_consultation_is_none(harness: Harness) -> None:
    start = local_to_utc(at(9), harness.zone)
    appointment = PimsAppointment(
        appointment_id="1",
        consultation_id="999999999999",
        scheduled_start=start,
        scheduled_end=start,
        business_date=business_date(start, harness.zone),
    )
    assert harness.warm_provider().fetch_consultation(appointment) is None


def test_a_lookup_finds_an_appointment_on_any_date(harness: Harness) -> None:
    identity = harness.book(at(9))
    far = date(2026, 9, 1)
    harness.move(identity, at(15, day=far))
    found = harness.warm_provider().lookup_appointment(identity)
    assert found.exists
    assert found.business_date == far
    assert found.scheduled_start == local_to_utc(at(15, day=far), harness.zone)


def test_a_lookup_of_a_deleted_or_unknown_appointment_does_not_find_it(harness: Harness) -> None:
    identity = harness.book(at(9))
    harness.delete(identity)
    provider = harness.warm_provider()
    assert not provider.lookup_appointment(identity).exists
    assert not provider.lookup_appointment("999999999999").found


def test_a_lookup_is_dated_before_its_request(harness: Harness) -> None:
    identity = harness.book(at(9))
    provider = harness.warm_provider()
    before = datetime.now(UTC)
    assert before <= provider.lookup_appointment(identity).asked_at <= datetime.now(UTC)


def test_several_threads_share_one_provider(harness: Harness) -> None:
    provider = harness.warm_provider()
    appointment = finished_appointment(harness, provider)
    with ThreadPoolExecutor(4) as threads:
        responses = list(threads.map(lambda _: provider.fetch_consultation(appointment), range(12)))
    assert {response.consultation_id for response in responses if response} == {
        appointment.consultation_id
    }
    assert None not in responses


def test_closing_again_does_nothing(harness: Harness) -> None:
    provider = harness.warm_provider()
    provider.close()
    provider.close()
