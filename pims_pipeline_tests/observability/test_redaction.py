"""What a log line may say and what is taken out of it."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.observability.redaction import REDACTED, redact_event, redact_text


def redacted(**fields: object) -> dict[str, object]:
    return dict(redact_event(None, "info", fields))


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "new_password",
        "PASSWORD",
        "session_token",
        "csrfToken",
        "cookies",
        "Set-Cookie",
        "authorization",
        "client_secret",
        "key",
        "api_key",
        "ENCRYPTION_KEY",
        "credentials",
        "client_phone",
        "homePhone",
        "email",
        "patient_name",
        "client_name",
        "notes",
        "soapNotes",
    ],
)
def test_a_field_with_a_telling_name_is_withheld(name: str) -> None:
    assert redacted(**{name: "Zoë"}) == {name: REDACTED}


def test_ids_counts_and_partition_keys_are_said() -> None:
    fields = {
        "event": "phase finished",
        "clinic": "harbour-vets",
        "partition_key": "harbour-vets|2026-03-29",
        "key_id": "k1",
        "record_key": "sha256:00ff",
        "case_id": "0b9d9c1e-4a84-4d4a-8a7c-1c9a6f9f2f11",
        "pims_id": "1234567890",
        "found": 1234567890,
        "took": 1.5,
        "complete": True,
        "hold": None,
    }

    assert redacted(**fields) == fields


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "postgresql://pims:hunter2@db.example:5432/pims failed",
            f"postgresql://pims:{REDACTED}@db.example:5432/pims failed",
        ),
        ("postgres://pims:p@ss/w:rd@db/pims", f"postgres://pims:{REDACTED}@db/pims"),
        ("host=db password=hunter2 user=pims", f"host=db password={REDACTED} user=pims"),
        ('{"password": "hunter 2", "n": 1}', f'{{"password": {REDACTED}, "n": 1}}'),
        ("sent Bearer abc.def-ghi", f"sent Bearer {REDACTED}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: {REDACTED}"),
        ("Cookie: sid=abc; theme=dark", f"Cookie: {REDACTED}"),
        ("mail to ana.maría+1@clinic.example now", f"mail to {REDACTED} now"),
        ("call +1 (555) 010-0199 back", f"call {REDACTED} back"),
        ("call (555) 010-0199.", f"call {REDACTED}."),
        ("call 5550100199", f"call {REDACTED}"),
        ("on 2026-03-29 call 555 010 0199", f"on 2026-03-29 call {REDACTED}"),
    ],
)
def test_what_must_not_be_said_is_cut_from_text(said: str, kept: str) -> None:
    assert redact_text(said) == kept


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01 2026-03-14",
        "2026-03-29T02:30:00.123456+00:00",
        "listening on 192.168.100.200",
        "http://127.0.0.1:3000/runs",
        "took 1234567.891234 ms",
        "200 of 12345678 rows",
    ],
)
def test_dates_addresses_and_counts_are_not_mistaken_for_phone_numbers(text: str) -> None:
    assert redact_text(text) == text


@given(st.uuids())
def test_no_identity_is_mistaken_for_a_phone_number(identity: UUID) -> None:
    text = f"case {identity} changed"

    assert redact_text(text) == text


@given(st.dates(), st.datetimes(timezones=st.just(UTC)))
def test_no_moment_is_mistaken_for_a_phone_number(day: date, moment: datetime) -> None:
    assert redacted(day=day, at=moment) == {"day": str(day), "at": str(moment)}


def test_redaction_reaches_into_nested_values() -> None:
    event = redacted(
        event="asked",
        request={"headers": {"Cookie": "sid=abc"}, "tries": [1, "to ana@clinic.example"]},
        body=b"<html>Rex</html>",
    )

    assert event == {
        "event": "asked",
        "request": {"headers": {"Cookie": REDACTED}, "tries": [1, f"to {REDACTED}"]},
        "body": "[16 bytes]",
    }


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact_text(text)

    assert redact_text(once) == once
