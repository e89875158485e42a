"""What the pages show, and that no name or note of a vendor becomes a part of a page."""

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import quote
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text, update

from pims_pipeline.console.access import visitors
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.local_trust.page_policy import PAGE_POLICY
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.errors import DatabaseUnavailable
from pims_pipeline.store.database.locks import LockTimeout
from pims_pipeline.store.failures import FailureInput, record_failures
from pims_pipeline.store.tables.cases import cases
from pims_pipeline_tests.console.browsers import Browser, SignIn
from pims_pipeline_tests.console.conftest import browser_of
from pims_pipeline_tests.console.practice import (
    DAY,
    RUN,
    add_case,
    add_day,
    begin_sync,
    land_appointment,
    note_decryption,
    record_change,
)

NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "</title><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "Zoë 🐈 Ø",
)


@pytest.fixture
def ben(sign_in: SignIn) -> Browser:
    """A viewer of all clinics."""
    return sign_in("ben", OperatorRole.VIEWER)


def looked(engine: Engine) -> list[tuple[str, UUID | None, UUID | None, str]]:
    with transaction(engine) as connection:
        rows = connection.execute(
            text(
                "SELECT action, clinic_id, case_id, details::text FROM operator_log "
                "WHERE action LIKE '%seen' ORDER BY seq"
            )
        )
        return [tuple(row) for row in rows]


def test_every_response_has_the_policy_without_inline_code(ben: Browser) -> None:
    assert "unsafe" not in PAGE_POLICY
    for path in ("/sign-in", "/", "/nowhere", "/static/console.css", "/cases/x"):
        headers = ben.get(path).headers

        assert headers["content-security-policy"] == PAGE_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        is_static = path.startswith("/static")
        assert headers["cache-control"] == (
            "public, max-age=31536000, immutable" if is_static else "no-store"
        )


def test_the_api_keeps_its_own_policy(ben: Browser) -> None:
    headers = ben.client.get("/health").headers

    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["referrer-policy"] == "no-referrer"


class Structure(HTMLParser):
    """The tags of a page with the names of their attributes, and where links lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append((tag, tuple(name for name, _ in attrs)))


def test_a_name_stays_text_on_every_page(engine: Engine, clinic: Clinic, ben: Browser) -> None:
    with transaction(engine) as connection:
        add_day(connection, clinic)
        connection.execute(update(cases).values(client_phone="555 0199"))

    def structures(name: str) -> list[object]:
        fields = {
            "patient_name": name,
            "client_name": name,
            "patient_species": name,
            "metadata": {"appointment": {"reason": name}},
        }
        with transaction(engine) as connection:
            connection.execute(update(cases).values(**fields))
            case_id = add_case(
                connection, clinic, pims_id=None, scheduled_date=DAY + timedelta(days=1), **fields
            )
            audit_id = begin_sync(connection, clinic)
            record_change(connection, clinic, case_id, audit_id, {name: (name, {name: name})})
        paths = (
            f"/cases/{case_id}",
            f"/clinics/{clinic.slug}?date={DAY}",
            f"/clinics/{clinic.slug}/changes/{audit_id}",
            f"/?find={quote(name)}",
            f"/sign-in?next={quote(name)}",
        )
        found = ben.send("/search", text="0199", form_token=ben.token())
        return [Structure(page.text).parts for page in (*map(ben.get, paths), found)]

    harmless = structures("Zoë")
    for name in NASTY:
        assert structures(name) == harmless


def test_the_overview_shows_first_what_needs_a_person(
    engine: Engine, clinic: Clinic, other_clinic: Clinic, ben: Browser
) -> None:
    with transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO reconciliation_holds (clinic_id, window_start, window_end, reason, "
                "plan) VALUES (:id, :day, :day, 'too_many_orphans', '{}')"
            ),
            {"id": other_clinic.id, "day": DAY},
        )

    page = ben.get("/").text

    assert page.index("Oak Lane Veterinary") < page.index(clinic.name)
    assert '<strong class="mark held">1</strong>' in page
    assert "Syncs per day" in page
    assert "2 of 2" in page


def test_the_overview_finds_clinics_by_slug_and_name(
    clinic: Clinic, other_clinic: Clinic, ben: Browser
) -> None:
    for find in ("oak", "OAK LANE"):
        page = ben.get(f"/?find={find}").text
        assert other_clinic.slug in page
        assert clinic.slug not in page
    assert "No clinic has that in its slug or name." in ben.get("/?find=birch").text


def test_a_clinics_day_shows_what_differs_and_why(
    engine: Engine, clinic: Clinic, ben: Browser
) -> None:
    with transaction(engine) as connection:
        audit_id = begin_sync(connection, clinic)
        land_appointment(connection, clinic, audit_id, pims_id="A-1")
        add_case(connection, clinic, status="completed", patient_name="Rexy")
        land_appointment(connection, clinic, audit_id, pims_id="A-2", patient="Momo")
        land_appointment(
            connection, clinic, audit_id, pims_id="A-3", left_out=True, followed_digest=""
        )
        add_case(connection, clinic, pims_id="A-9", patient_name="Gone")
        add_case(connection, clinic, pims_id=None, provider_type=None, patient_name="Byhand")

    page = ben.get(f"/clinics/{clinic.slug}?date={DAY}").text

    for part in (
        "vendor Rex, case Rexy",
        "vendor draft, case completed",
        "changed here; a sync writes it again when the vendor&#39;s word gets another meaning",
        "no case yet; the next sync creates it",
        "left out: the clinic does not sync its room or provider",
        "the vendor&#39;s calendar has no such appointment on this date",
        "created by hand; syncs leave it alone",
    ):
        assert part in page
    assert "10:00" in page
    assert f"?date={DAY - timedelta(days=1)}" in page
    assert [(action, clinic_id) for action, clinic_id, *_ in looked(engine)] == [
        ("clinic_seen", clinic.id)
    ]
    assert json.loads(looked(engine)[0][3]) == {"date": DAY.isoformat()}


def test_a_case_shows_each_change_with_its_cause(
    engine: Engine, clinic: Clinic, ben: Browser
) -> None:
    with transaction(engine) as connection:
        case_id = add_day(connection, clinic)
        record_change(
            connection,
            clinic,
            case_id,
            begin_sync(connection, clinic, Phase.RECONCILIATION),
            {"status": ("draft", "reviewed"), "reconciliation": (None, {"softDeleted": True})},
            kind=EventKind.SOFT_DELETED,
        )

    page = ben.get(f"/cases/{case_id}").text

    for part in (
        "soft deleted",
        "reconciliation soft deleted",
        f'<a href="http://dagster.example/runs/{RUN}">',
        f'<a href="/console/clinics/{clinic.slug}?date={DAY}">{clinic.slug}|{DAY}</a>',
        "appointment <code>digest-A-1</code>",
        f"login at 2026-03-09 10:00 by run <code>{RUN[:8]}</code>",
        "America/New_York",
        "2 changes, newest first",
    ):
        assert part in page
    assert page.index("soft deleted") < page.index(">created<")
    assert [each[:3] for each in looked(engine)] == [("case_seen", clinic.id, case_id)]


def test_a_change_shows_five_of_the_secrets_that_a_long_run_decrypted(
    engine: Engine, clinic: Clinic, ben: Browser
) -> None:
    with transaction(engine) as connection:
        case_id = add_day(connection, clinic)
        for _ in range(9):
            note_decryption(connection, clinic, "session")

    page = ben.get(f"/cases/{case_id}").text

    assert page.count(f"by run <code>{RUN[:8]}</code>") == 5
    assert "; 5 more</dd>" in page


def test_a_case_with_thousands_of_changes_shows_fifty_at_a_time(
    engine: Engine, clinic: Clinic, ben: Browser
) -> None:
    with transaction(engine) as connection:
        case_id = add_case(connection, clinic)
        audit_id = begin_sync(connection, clinic)
        record_change(connection, clinic, case_id, audit_id, {"status": ("a", "b")}, times=120)

    first, last = ben.get(f"/cases/{case_id}").text, ben.get(f"/cases/{case_id}?page=3").text

    assert (first.count('id="event-'), last.count('id="event-')) == (50, 20)
    assert "Page 1 of 3" in first
    assert 'rel="next"' not in last
    assert "There are no more changes." in ben.get(f"/cases/{case_id}?page=4").text


def test_a_value_that_cannot_be_is_a_page_that_says_so(ben: Browser) -> None:
    for path in ("/cases/1", "/clinics/UP", "/clinics/ab?date=x", "/?page=0"):
        refused = ben.get(path)

        assert refused.status_code == 400
        assert "holds a value that it cannot have" in refused.text


def test_a_database_that_is_gone_is_a_page_that_says_so(
    ben: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise DatabaseUnavailable("cannot reach db.internal:5432")

    monkeypatch.setattr(visitors, "current_operator", gone)
    refused = ben.get("/")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "db.internal" not in refused.text


def test_dead_letters_come_first_of_many_failures_a_hundred_at_a_time(
    engine: Engine, clinic: Clinic, ben: Browser
) -> None:
    now = datetime(2026, 3, 9, 12, tzinfo=UTC)
    with transaction(engine) as connection:
        for number in range(250):
            failed = FailureInput(
                record_key=f"K-{number}", pims_id=f"K-{number}", error_class="E", error_message="e"
            )
            later = now + timedelta(minutes=number)
            record_failures(connection, clinic, Phase.INBOUND, [failed], later)
        connection.execute(
            text(
                "UPDATE sync_failures SET next_retry_at = CASE WHEN pims_id = 'K-7' THEN NULL "
                "ELSE now() END, resolved_at = CASE WHEN pims_id = 'K-240' THEN now() END"
            )
        )

    def rows(path: str) -> list[str]:
        return re.findall(r'<th scope="row">(K-[0-9]+)', ben.get(path).text)

    first = rows("/failures")
    assert (len(first), first[:2]) == (100, ["K-7", "K-249"])
    assert [len(rows(f"/failures?page={number}")) for number in (2, 3, 4)] == [100, 49, 0]
    assert "K-240" not in first
    assert "K-240" in rows("/failures?all=1")
    assert "Page 3 of 3" in ben.get("/failures?all=1&page=3").text
    assert "There are no more failures." in ben.get("/failures?page=4").text


def test_a_page_that_asks_again_keeps_what_it_shows_while_the_server_is_away(
    clinic: Clinic, ben: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"HX-Request": "true", "HX-Target": "progress"}
    path = f"/clinics/{clinic.slug}/syncs/{RUN}/progress"
    assert ben.get(path, **asked).headers["hx-retarget"] == "#content"

    def gone(*_: object) -> None:
        raise DatabaseUnavailable("it is away")

    monkeypatch.setattr(visitors, "current_operator", gone)
    kept, loaded = ben.get(path, **asked), ben.get("/search", **{"HX-Request": "true"})
    assert [name for name in kept.headers if name.startswith("hx-")] == []
    assert loaded.headers["hx-refresh"] == "true"
    assert "hx-refresh" not in ben.get("/search").headers


def test_what_is_locked_for_long_is_a_page_that_says_so(
    ben: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise LockTimeout("writing to this clinic is locked by session 12")

    monkeypatch.setattr(visitors, "current_operator", locked)
    refused = ben.get("/")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "Another process is changing this" in refused.text
    assert "session" not in refused.text


def test_the_address_without_a_slash_leads_to_the_overview(browser: Browser) -> None:
    led = browser.get("")

    assert (led.status_code, led.headers["location"]) == (308, "/console/")


def test_the_log_and_the_metrics_have_the_template_of_a_page_and_no_id(
    app: FastAPI,
    engine: Engine,
    clinic: Clinic,
    ben: Browser,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with transaction(engine) as connection:
        case_id = add_day(connection, clinic)
    caplog.set_level("INFO", logger="pims_pipeline")

    ben.get(f"/cases/{case_id}")
    ben.client.get("/health")

    assert "/console/cases/{case_id}" in caplog.text
    assert str(case_id) not in caplog.text
    metrics = browser_of(app, client="127.0.0.1").client.get("/metrics").text
    assert 'route="/console/cases/{case_id}"' in metrics
    assert 'route="/health"' in metrics
    assert str(case_id) not in metrics


def test_an_unexpected_error_is_a_page_without_its_message(
    ben: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Rex of Ann Lee")

    monkeypatch.setattr(visitors, "current_operator", broken)
    failed = ben.get("/")

    assert failed.status_code == 500
    assert "Something went wrong here." in failed.text
    assert failed.headers["content-security-policy"] == PAGE_POLICY
    assert "RuntimeError" in caplog.text
    assert "Rex" not in failed.text + caplog.text


def test_a_form_that_is_too_large_is_refused(ben: Browser) -> None:
    assert ben.send("/sign-out", form_token="0" * 70_000).status_code == 413
