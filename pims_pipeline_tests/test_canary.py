"""Secrets and people's data are seen where they belong, and in no log, event, alert or list.

Everything is done for real with strings made up for it: a login in a browser, syncs, and whatever
goes wrong with them. All that was said is looked through afterwards (``canary``). The clinics
stand in ``canary_practice``, what their vendor does wrong in ``canary_vendor``.
"""

import base64
import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_bytes
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from sqlalchemy.exc import DBAPIError

from pims_pipeline.alerting.delivery import Alerting, deliver
from pims_pipeline.alerting.evaluation import evaluate
from pims_pipeline.alerting.messages import Message
from pims_pipeline.alerting.notifiers import LogNotifier
from pims_pipeline.alerting.slack import SlackNotifier
from pims_pipeline.providers.port import Credentials, PimsError
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.engine import DatabaseRefused
from pims_pipeline_tests.api.support.fake_dagster import SECRET, FakeDagster, Mood
from pims_pipeline_tests.canary import (
    Canary,
    Evidence,
    LogLevel,
    canary,
    leaks,
    secret_canary,
)
from pims_pipeline_tests.canary_practice import Practice, practice
from pims_pipeline_tests.canary_vendor import (
    ADAPTER,
    BROKEN,
    HARMLESS,
    STRIKES,
    read_what_cannot_be_meant,
    sync_while_struck,
)
from pims_pipeline_tests.observability.stand_ins import Axiom, Slack, serving
from pims_pipeline_tests.providers.idexx_neo.login.shared_browser import shared_browser
from pims_pipeline_tests.providers.odd_server import Response, odd_server

NOWHERE: frozenset[str] = frozenset()
ONCE = frozenset({"printed by pims keys create"})
"""Where a key to the API is shown."""


@pytest.fixture
def house(server_url: str, tmp_path: Path) -> Iterator[Practice]:
    with practice(server_url, tmp_path / "home") as house:
        yield house


class Everybody:
    """Tells people in Slack, and in the log too."""

    def __init__(self, slack: Slack) -> None:
        address = f"{slack.address}api/"
        self._slack = SlackNotifier(slack.token, slack.channel, base_url=address)

    def deliver(self, message: Message) -> None:
        self._slack.deliver(message)
        LogNotifier().deliver(message)


def alert_people(house: Practice) -> set[str]:
    """Let alerts open and be told; gives their titles."""
    slack = Slack(token=canary("Slack's token", "xoxb-{}").text)
    # So often that it is given up.
    house.run("UPDATE sync_failures SET attempts = 8")
    with house.evidence.logging("log of the alerts"), serving(slack):
        evaluate(house.engine, utc_now())
        deliver(house.engine, Alerting(notifier=Everybody(slack)))
    house.evidence.add("Slack", slack.shown())
    return {text.partition(" ")[2].partition(" (")[0] for text in slack.texts}


def look_about(house: Practice, key: str) -> Canary:
    """Ask the commands and the API for all they tell; gives the API's password."""
    [row] = house.rows(
        "SELECT cases.id AS case_id, audit_id FROM cases JOIN case_events ON case_id = cases.id "
        "WHERE kind = 'enriched' AND client_phone > '' "
        "AND cases.metadata -> 'appointment' ->> 'provider' > '' LIMIT 1"
    )
    case_id, sync_id = row.case_id, row.audit_id
    for words in (
        *("status", "holds list", "failures list", "keys list", "clinics list"),
        *("cases list --clinic=alder", f"cases show {case_id}", f"cases show {case_id} --json"),
    ):
        assert house.pims(*words.split()).exit_code == 0
    with house.evidence.logging("log of the API"), house.api() as api:
        for path in (
            *("/health", "/ready", "/metrics", "/docs", "/openapi.json", "/api/sync"),
            *(f"/api/sync/{sync_id}", f"/api/cases/{case_id}/provenance"),
        ):
            assert api.client.get(path, headers={"X-API-Key": key}).status_code in {200, 503}
        not_started = api.client.post("/api/sync/full", headers={"X-API-Key": key})
        assert not_started.status_code == 503
    return api.login


def provoke_the_database(house: Practice) -> None:
    """Have it complain of rows and of values of people, which it quotes; errors are evidence."""
    name = house.people.client.text
    for statement in (
        "UPDATE cases SET clinic_id = (SELECT id FROM clinics WHERE slug = 'dogwood')",
        "UPDATE cases SET scheduled_date = CAST(client_name AS date)",
        "UPDATE cases SET scheduled_date = CAST(:name AS date)",
        "UPDATE cases SET visibility = NULL WHERE client_name <> :name",
        "SELECT :name FROM nowhere",
    ):
        with pytest.raises((DBAPIError, DatabaseRefused)) as raised:
            house.run(statement, **({"name": name} if ":name" in statement else {}))
        house.evidence.add_error("errors of the database", raised.value)


def ends(house: Practice) -> set[str]:
    """How clinics' phases ended."""
    found = house.rows(
        "SELECT slug || ', ' || sync_type || ': ' || status AS told "
        "FROM case_sync_audits JOIN clinics ON clinics.id = clinic_id"
    )
    return {str(row.told) for row in found}


def test_a_login_and_syncs_that_fail_everywhere_tell_no_secret_and_of_nobody(
    house: Practice,
) -> None:
    evidence = house.evidence
    wrong = canary("wrong password")
    for slug in ("alder", "birch", "cedar", "dogwood", "elm"):
        house.open_clinic(slug, logged_in=slug in {"birch", "dogwood", "elm"})
    house.enter_login("alder", house.password.text)
    house.enter_login("cedar", wrong.text)
    house.strike("birch", "html", "listing")
    house.refuse_rows_of("dogwood")
    house.strike("elm", "html", "consultation")
    axiom_token = canary("Axiom's token", "xaat-{}")
    axiom = Axiom(token=axiom_token.text)
    with evidence.watching_processes("processes"), serving(axiom):
        house.sync_in_another_process(
            list(house.companies),
            LOG_LEVEL="DEBUG",
            LOG_FORMAT="json",
            AXIOM_TOKEN=axiom.token,
            AXIOM_DATASET=axiom.dataset,
            AXIOM_URL=axiom.address,
        )
    evidence.add("Axiom", axiom.events)
    # Cookies among them, which are forgotten when they are renewed.
    secrets = house.secrets
    assert house.pims("credentials", "check", "cedar").exit_code == 1
    house.strike("alder", "empty_calendar", "listing")
    assert house.pims("sync", "reconcile", "--clinic=alder").exit_code == 1
    provoke_the_database(house)
    key = house.pims("keys", "create", "alder").stdout.strip()
    login = look_about(house, key)
    alerts = alert_people(house)
    house.look_through_what_is_kept()

    # It happened, and was heard.
    assert ends(house) > {
        *("alder, inbound: completed", "alder, cases: completed", "alder, reconciliation: held"),
        *("birch, inbound: failed", "cedar, inbound: failed", "dogwood, inbound: failed"),
    }
    assert alerts == {"credentials_rejected: cedar", "dead_letter, cases: elm", "hold: alder"}
    assert {"logged_in", "phase_broke", "phase_failed"} <= set(axiom.said)
    for place in ("log of the run", "file dagster/storage", "log of pims sync reconcile"):
        assert "phase_started" in evidence.said_at(place)
    assert "ContractViolation" in evidence.said_at("dagster.event_logs.event")
    for word in ("execute_run", "chromium"):
        assert word in evidence.said_at("processes")
    people = {who: homes | house.people.stories[who] for who, homes in house.people.homes.items()}
    assert (
        leaks(
            evidence,
            {
                **people,
                **dict.fromkeys((*secrets, wrong, login, axiom_token), NOWHERE),
                secret_canary("API key", key.partition("_")[2]): ONCE,
            },
        )
        == {}
    )


def test_whatever_a_vendor_does_wrong_is_told_without_its_words(house: Practice) -> None:
    unforeseen = canary("unforeseen")
    sync_while_struck(house, KeyError(unforeseen.text))
    secrets = house.secrets
    house.look_through_what_is_kept()

    found = house.rows(
        "SELECT slug FROM case_sync_audits JOIN clinics ON clinics.id = clinic_id "
        "WHERE status <> 'completed' UNION "
        "SELECT slug FROM sync_failures JOIN clinics ON clinics.id = clinic_id"
    )
    assert {row.slug for row in found} == {*STRIKES, BROKEN} - HARMLESS
    assert "response broke off" in house.evidence.said_at(ADAPTER)
    assert (
        leaks(
            house.evidence,
            {**house.people.homes, **dict.fromkeys((unforeseen, *secrets), NOWHERE)},
        )
        == {}
    )


def test_what_cannot_be_read_is_told_without_its_words(house: Practice) -> None:
    found = canary("found", '"{}" <b>')
    kinds = read_what_cannot_be_meant(house, found)

    assert kinds == {"ContractViolation", "UnreadableField"}
    assert leaks(house.evidence, dict.fromkeys((found, *house.people.homes), NOWHERE)) == {}


REFUSES = "refuses it"
NOWHERE_TO_GO = ("leads nowhere", "sends it on", "vanishes")
"""Pages after which nothing comes."""


def form(
    attributes: str = "method=post action=/login", more: str = "", kind: str = "text"
) -> Response:
    """A login page; what is typed first goes into a field of that kind."""
    body = (
        f"<!doctype html><form {attributes}><input name=username type={kind}>"
        f"<input type=password name=password><button type=submit>Sign in</button></form>{more}"
    )
    return Response(200, body.encode(), "text/html; charset=utf-8")


def page(status: int, body: str, **headers: str) -> Response:
    return Response(status, body.encode(), "text/html; charset=utf-8", headers)


def login_pages(typed: str) -> Mapping[str, list[Response]]:
    """What a vendor may do with what was typed."""
    quoted = html.escape(typed)
    by_address = form("method=get action=/login")
    script = "<script>addEventListener({!r}, () => {{ {} }}, true)</script>"
    value = "document.querySelector('[type=password]').value"
    shouting = script.format("submit", f"console.error({value}); throw {value}")
    elsewhere = f"http://127.0.0.1:9/?q={quote(typed)}"
    return {
        REFUSES: [form(), form(more=f"<p class=alert-danger>Not {quoted}!")],
        "locks it": [form(), page(200, f"The account is locked: {quoted}")],
        "wants more": [form(), page(200, f"{quoted} <input name=otp>")],
        "breaks down": [form(), page(500, quoted)],
        "takes numbers alone": [form(kind="number")],
        "puts it in the address": [by_address, page(500, "")],
        "shouts it": [form(more=shouting), page(503, quoted)],
        **dict(
            zip(
                NOWHERE_TO_GO,
                (
                    [form(), page(200, f"{quoted}?")],
                    [by_address, page(302, "", Location=elsewhere)],
                    [form(more=script.format("focusin", "document.forms[0].remove()"))],
                ),
                strict=True,
            )
        ),
    }


def test_whatever_a_login_page_does_with_a_password_it_is_not_told() -> None:
    evidence = Evidence()
    password, username = canary("password", 'p"ä {} <%41>'), canary("username", "{}@vets")
    typed = Credentials(username.text, password.text)
    pages = login_pages(password.text)
    failed = set()
    with (
        evidence.logging("log"),
        evidence.watching_processes("processes"),
        shared_browser() as visitor,
        odd_server() as vendor,
    ):
        for name, answers in pages.items():
            vendor.responses = answers
            patience = 2 if name in NOWHERE_TO_GO else 20
            try:
                assert visitor.log_in(vendor.base_url, typed, timeout_s=patience) is None
            except PimsError as error:
                evidence.add_error("errors", error)
                failed.add(name)

    assert failed == pages.keys() - {REFUSES}
    assert "chromium" in evidence.said_at("processes")
    assert leaks(evidence, {password: NOWHERE, username: NOWHERE}) == {}


def ways_to_send(text: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Requests with ``text`` where it does not belong: method, path, and the rest."""
    inside = quote(text, safe="")
    for path in ("", "api/sync/", "api/sync/full/", "api/cases/", "docs/", "metrics/"):
        yield "GET", f"/{path}{inside}", {}
    yield "GET", f"/api/cases/{inside}/provenance", {}
    for name in ("X-API-Key", "api_key", "limit", "cursor", text):
        yield "GET", "/api/sync", {"params": {name: text}}
    for header in ("Authorization", "Cookie", "Prefer", "Idempotency-Key", "User-Agent", "Referer"):
        for shape in ("{}", "Bearer {}", "X-API-Key={}"):
            sent = shape.format(text).encode()
            yield "GET", "/api/sync", {"headers": {header: sent}}
            yield "POST", "/api/sync/full", {"headers": {header: sent}}
    for header in ("Content-Type", "Accept", "Origin", "Host", "X-Forwarded-For"):
        yield "POST", "/api/sync/full", {"headers": {header: text.encode()}, "content": b"{}"}
    for field in ("startDate", "daysAhead", "parallelBatchSize"):
        for value in (text, [text], {text: text}):
            yield "POST", "/api/sync/full", {"json": {field: value}}
    for body in (text, f'"{text}"', f'["{text}"]', f'{{"{text}', f'{{"daysAhead": {text}}}'):
        yield "POST", "/api/sync/inbound", {"content": body.encode()}
    yield "POST", "/api/sync/cases", {"content": text.encode() * 5_000}


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_the_api_repeats_nothing_that_it_is_sent_and_nothing_that_fails_behind_it(
    house: Practice, monkeypatch: pytest.MonkeyPatch, level: LogLevel
) -> None:
    house.open_clinic("alder")
    key = house.make_api_key("alder")
    typed, unforeseen = canary("typed", "{} <&>'"), canary("unforeseen")
    from_dagster = Canary("from Dagster", SECRET, ("hunter2",))
    closed = canary("password of a closed database")
    nowhere = f"postgresql://pims:{closed.text}@127.0.0.1:9/pims"
    evidence, valid = house.evidence, {"X-API-Key": key}

    # A run whose launch was not answered is looked for once.
    monkeypatch.setattr("pims_pipeline.api.dagster_client.SEARCH_SECONDS", 0)

    def fails(*_: object) -> None:
        raise KeyError(unforeseen.text) from ValueError(unforeseen.text)

    with evidence.logging("log", level), FakeDagster() as dagster, house.api(dagster.url) as api:
        for method, path, rest in (*ways_to_send(key), *ways_to_send(typed.text)):
            api.client.request(method, path, **rest)
            headers = {**valid, **rest.get("headers", {})}
            api.client.request(method, path, **{**rest, "headers": headers})
        api.client.get("/api/sync", headers={**valid, "X-Request-Id": key})
        api.client.post("/api/sync/full", headers=valid, json={key: 1})
        for mood in Mood:
            dagster.mood = mood
            api.client.post("/api/sync/full", headers=valid)
            api.client.get("/ready")
            api.client.get("/metrics")
        monkeypatch.setattr("pims_pipeline.api.routes.cases.case_history", fails)
        broken = api.client.get(f"/api/cases/{uuid4()}/provenance", headers=valid)
        with house.api(database_url=nowhere) as cut_off:
            gone = cut_off.client.get("/api/sync", headers=valid)
            cut_off.client.get("/ready")
            cut_off.client.get("/metrics")
    house.look_through_what_is_kept()

    assert (broken.status_code, gone.status_code) == (500, 503)
    for event in ("request_failed", "database_unavailable", "launch_failed"):
        assert event in evidence.said_at("log, in JSON")
    secrets = (secret_canary("API key", key.partition("_")[2]), typed, unforeseen, closed)
    assert leaks(evidence, dict.fromkeys((*secrets, from_dagster, api.login), NOWHERE)) == {}


def test_a_command_that_fails_repeats_no_secret(
    house: Practice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    evidence = house.evidence
    typed, unforeseen = canary("typed", "{}_ü"), canary("unforeseen")
    house.open_clinic("alder", logged_in=True)
    secrets = house.secrets
    key = house.make_api_key("alder")
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    another_key = secret_canary("another key", base64.b64encode(token_bytes(32)).decode())

    def fails(*_: object) -> None:
        raise KeyError(unforeseen.text) from ValueError(unforeseen.text)

    done = [
        house.pims("credentials", "set", "alder", f"--password={typed.text}"),
        house.pims("credentials", "check", "alder", PIMS_CHROMIUM_PATH=str(broken)),
        house.pims("credentials", "check", "alder", ENCRYPTION_KEY=another_key.text),
        house.pims("credentials", "rotate", ENCRYPTION_KEY=another_key.text),
        house.pims("keys", "revoke", key[:-1]),
        house.pims("keys", "revoke", key.partition("_")[2]),
        *(house.pims("status", **{name: value}) for name, value in wrong_settings(typed.text)),
        house.pims("serve", "--port=0", PIMS_API_DATABASE_URL=house.url),
    ]
    house.run("UPDATE pims_credentials SET encrypted_data = substr(encrypted_data, 2)")
    done.append(house.pims("credentials", "check", "alder"))
    monkeypatch.setattr("pims_pipeline.operations.status.clinic_states", fails)
    done.append(house.pims("status"))
    house.look_through_what_is_kept()

    assert all(each.exit_code in {1, 2} for each in done)
    assert "KeyError" in evidence.said_at("log of pims status")
    assert (
        leaks(
            evidence,
            {
                secret_canary("API key", key.partition("_")[2]): NOWHERE,
                **dict.fromkeys((*secrets, typed, unforeseen, another_key), NOWHERE),
            },
        )
        == {}
    )


def wrong_settings(text: str) -> Iterator[tuple[str, str]]:
    """Secrets that are malformed, or lead nowhere: variable and value."""
    for name in ("ENCRYPTION_KEY", "ENCRYPTION_KEYS_RETIRED", "SLACK_BOT_TOKEN", "AXIOM_TOKEN"):
        yield name, text
    yield "PIMS_METRICS_TOKEN", f"{text} {text}"
    for name in ("PIMS_DATABASE_URL", "DAGSTER_POSTGRES_URL", "PIMS_API_DATABASE_URL"):
        yield name, f"mysql://pims:{text}@127.0.0.1/pims"
    yield "PIMS_DATABASE_URL", f"postgresql://pims:{quote(text)}@127.0.0.1:9/pims"
    yield "PIMS_DATABASE_URL", f"postgresql://pims:{quote(text)}@127.0.0.1:port/pims"
    for name in ("DAGSTER_GRAPHQL_URL", "AXIOM_URL"):
        yield name, f"ftp://pims:{text}@127.0.0.1"
