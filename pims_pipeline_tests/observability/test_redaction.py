"""What a log line may contain and what is removed from it."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.observability import redaction
from pims_pipeline.observability.redaction import REDACTED, redact_event, redact_text

API_KEY = "7HkQ2xZp_" + "aB3" * 16 + "x"
BASE64_KEY = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="


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
        "x-api-key",
        "session_id",
        "slack_bot_token",
    ],
)
def test_a_field_with_a_sensitive_name_is_withheld(name: str) -> None:
    assert redacted(**{name: "Zoë"}) == {name: REDACTED}


def test_ids_counts_and_partition_keys_are_kept() -> None:
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
    ("text", "kept"),
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
        (f"key {API_KEY} was used", f"key 7HkQ2xZp_{REDACTED} was used"),
        (f"GET /api/sync?key={API_KEY}", f"GET /api/sync?key=7HkQ2xZp_{REDACTED}"),
        (f"X-API-Key: {API_KEY}", f"X-API-Key: {REDACTED}"),
        ("posting as xoxb-12-34-AbCd", f"posting as xoxb-{REDACTED}"),
        (
            "with xaat-0b9d9c1e-4a84-4d4a, then xapt-1",
            f"with xaat-{REDACTED}, then xapt-{REDACTED}",
        ),
        (f"wrong key {BASE64_KEY}", f"wrong key {REDACTED}"),
        (f"ENCRYPTION_KEY={BASE64_KEY}.", f"ENCRYPTION_KEY={REDACTED}."),
        ("IDEXX_ENCRYPTION_KEY=hunter2 set", f"IDEXX_ENCRYPTION_KEY={REDACTED} set"),
        ("IDEXX_ENCRYPTION_KEY_ELM7: hunter2", f"IDEXX_ENCRYPTION_KEY_ELM7: {REDACTED}"),
        ("neo_session=3f0c.ab; path=/", f"neo_session={REDACTED}; path=/"),
        ("JSESSIONID=3F0C", f"JSESSIONID={REDACTED}"),
        ('{"sessionId": "3f0c"}', f'{{"sessionId": {REDACTED}}}'),
        ("token eyJhbGciOi.eyJzdWIi.c2ln here", f"token {REDACTED} here"),
    ],
)
def test_sensitive_values_are_cut_from_text(text: str, kept: str) -> None:
    assert redact_text(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01 2026-03-14",
        "2026-03-29T02:30:00.123456+00:00",
        "listening on 192.168.100.200",
        "http://127.0.0.1:3000/runs",
        "took 1234567.891234 ms",
        "200 of 12345678 rows",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08=",
        "harbour-vets|2026-03-29",
        "session_expired: the session of harbour-vets ended",
        "pims_pipeline.orchestration.maintenance_of_the_whole = 3",
    ],
)
def test_a_value_that_only_resembles_a_secret_or_a_phone_number_is_kept(text: str) -> None:
    assert redact_text(text) == text


@given(st.uuids())
def test_no_identity_is_mistaken_for_a_phone_number(identity: UUID) -> None:
    text = f"case {identity} changed"

    assert redact_text(text) == text


@given(st.dates(), st.datetimes(timezones=st.just(UTC)))
def test_no_time_is_mistaken_for_a_phone_number(day: date, moment: datetime) -> None:
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


def test_the_secret_fields_of_a_provider_are_redacted_whatever_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_declared", "_declared_assignment"):
        monkeypatch.setattr(redaction, name, getattr(redaction, name))
    assert redacted(door_word="Zoë") == {"door_word": "Zoë"}
    assert redact_text("door_word=Zoë, 1") == "door_word=Zoë, 1"

    redaction.redact_fields(["door_word"])

    assert redacted(door_word="Zoë", doorWord="Zoë") == dict.fromkeys(
        ("door_word", "doorWord"), REDACTED
    )
    assert redact_text("door_word=Zoë, 1") == f"door_word={REDACTED}, 1"
    assert redact_text('{"door_word": "Zoë x"}') == f'{{"door_word": {REDACTED}}}'
    assert redact_text("indoor_words=Zoë") == "indoor_words=Zoë"
