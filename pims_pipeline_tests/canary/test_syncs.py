"""No sync, alert, list or log shows a secret or a person's data, whatever fails in it."""

import pytest
from sqlalchemy.exc import DBAPIError

from pims_pipeline.alerting.delivery import Alerting, deliver
from pims_pipeline.alerting.evaluation import evaluate
from pims_pipeline.alerting.messages import Message
from pims_pipeline.alerting.notifiers import LogNotifier
from pims_pipeline.alerting.slack import SlackNotifier
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.errors import DatabaseRefused
from pims_pipeline_tests.canary.canaries import Canary, canary, secret_canary
from pims_pipeline_tests.canary.evidence import NOWHERE, leaks
from pims_pipeline_tests.canary.malformed import SHAPES, parse_malformed
from pims_pipeline_tests.canary.practice import Practice
from pims_pipeline_tests.canary.vendor import (
    ADAPTER,
    BROKEN,
    FAULTS,
    HARMLESS,
    clinics_with_failures,
    sync_with_faults,
)
from pims_pipeline_tests.observability.stand_ins import Axiom, Slack, serving

ONCE = frozenset({"printed by pims keys create"})
"""The place that shows a new API key."""


class SlackAndLog:
    """Delivers to Slack and to the log."""

    def __init__(self, slack: Slack) -> None:
        address = f"{slack.address}api/"
        self._slack = SlackNotifier(slack.token, slack.channel, base_url=address)

    def deliver(self, message: Message) -> None:
        self._slack.deliver(message)
        LogNotifier().deliver(message)


def deliver_alerts(practice: Practice) -> set[str]:
    """Open alerts and deliver them; returns their titles."""
    slack = Slack(token=canary("Slack's token", "xoxb-{}").text)
    # Enough attempts for a dead letter.
    practice.run("UPDATE sync_failures SET attempts = 8")
    with practice.evidence.logging("log of the alerts"), serving(slack):
        evaluate(practice.engine, utc_now())
        deliver(practice.engine, Alerting(notifier=SlackAndLog(slack)))
    practice.evidence.add("Slack", slack.shown())
    return {text.partition(" ")[2].partition(" (")[0] for text in slack.texts}


def read_everything(practice: Practice, key: str) -> Canary:
    """Run the commands and the API's routes that read; returns the API's password."""
    [row] = practice.rows(
        "SELECT cases.id AS case_id, audit_id FROM cases JOIN case_events ON case_id = cases.id "
        "WHERE kind = 'enriched' AND client_phone > '' "
        "AND cases.metadata -> 'appointment' ->> 'provider' > '' LIMIT 1"
    )
    case_id, sync_id = row.case_id, row.audit_id
    for words in (
        *("status", "holds list", "failures list", "keys list", "clinics list"),
        *("providers report alder --json", "cases list --clinic=alder"),
        *(f"cases show {case_id}", f"cases show {case_id} --json"),
    ):
        assert practice.pims(*words.split()).exit_code == 0
    with practice.evidence.logging("log of the API"), practice.api() as api:
        for path in (
            *("/health", "/ready", "/metrics", "/docs", "/openapi.json", "/api/sync"),
            *(f"/api/sync/{sync_id}", f"/api/cases/{case_id}/provenance"),
        ):
            assert api.client.get(path, headers={"X-API-Key": key}).status_code in {200, 503}
        not_started = api.client.post("/api/sync/full", headers={"X-API-Key": key})
        assert not_started.status_code == 503
    return api.login


def provoke_the_database(practice: Practice) -> None:
    """Cause errors in which the database quotes rows and personal data; they are evidence."""
    name = practice.people.client.text
    for statement in (
        "UPDATE cases SET clinic_id = (SELECT id FROM clinics WHERE slug = 'dogwood')",
        "UPDATE cases SET scheduled_date = CAST(client_name AS date)",
        "UPDATE cases SET scheduled_date = CAST(:name AS date)",
        "UPDATE cases SET visibility = NULL WHERE client_name <> :name",
        "SELECT :name FROM nowhere",
    ):
        with pytest.raises((DBAPIError, DatabaseRefused)) as raised:
            practice.run(statement, **({"name": name} if ":name" in statement else {}))
        practice.evidence.add_error("errors of the database", raised.value)


def phase_statuses(practice: Practice) -> set[str]:
    """Each clinic's phases with their status."""
    found = practice.rows(
        "SELECT slug || ', ' || sync_type || ': ' || status AS line "
        "FROM case_sync_audits JOIN clinics ON clinics.id = clinic_id"
    )
    return {str(row.line) for row in found}


def test_logins_and_syncs_that_fail_everywhere_show_no_secret_and_no_personal_data(
    practice: Practice,
) -> None:
    evidence = practice.evidence
    wrong = canary("wrong password")
    for slug in ("alder", "birch", "cedar", "dogwood", "elm"):
        practice.open_clinic(slug, logged_in=slug in {"birch", "dogwood", "elm"})
    practice.enter_login("alder", practice.password.text)
    practice.enter_login("cedar", wrong.text)
    practice.add_fault("birch", "html", "listing")
    practice.refuse_rows_of("dogwood")
    practice.add_fault("elm", "html", "consultation")
    axiom_token = canary("Axiom's token", "xaat-{}")
    axiom = Axiom(token=axiom_token.text)
    with evidence.watching_processes("processes"), serving(axiom):
        practice.sync_in_another_process(
            list(practice.companies),
            LOG_LEVEL="DEBUG",
            LOG_FORMAT="json",
            AXIOM_TOKEN=axiom.token,
            AXIOM_DATASET=axiom.dataset,
            AXIOM_URL=axiom.address,
        )
    evidence.add("Axiom", axiom.events)
    # Before a renewal replaces the cookies among them.
    secrets = practice.secrets
    assert practice.pims("credentials", "check", "cedar").exit_code == 1
    practice.add_fault("alder", "empty_calendar", "listing")
    assert practice.pims("sync", "reconcile", "--clinic=alder").exit_code == 1
    provoke_the_database(practice)
    key = practice.pims("keys", "create", "alder").stdout.strip()
    login = read_everything(practice, key)
    alerts = deliver_alerts(practice)
    practice.add_stored_data()

    assert phase_statuses(practice) > {
        *("alder, inbound: completed", "alder, cases: completed", "alder, reconciliation: held"),
        *("birch, inbound: failed", "cedar, inbound: failed", "dogwood, inbound: failed"),
    }
    assert alerts == {"credentials_rejected: cedar", "dead_letter, cases: elm", "hold: alder"}
    assert {"logged_in", "phase_broke", "phase_failed"} <= set(axiom.event_names)
    for place in ("log of the run", "file dagster/storage", "log of pims sync reconcile"):
        assert "phase_started" in evidence.text_at(place)
    assert "ContractViolation" in evidence.text_at("dagster.event_logs.event")
    assert "listing[].patient_name" in evidence.text_at("vendor_shapes.path")
    for word in ("execute_run", "chromium"):
        assert word in evidence.text_at("processes")
    people = practice.people
    assert (
        leaks(
            evidence,
            {
                **{who: homes | people.shown_by[who] for who, homes in people.homes.items()},
                **dict.fromkeys((*secrets, wrong, login, axiom_token), NOWHERE),
                secret_canary("API key", key.partition("_")[2]): ONCE,
            },
        )
        == {}
    )


def test_a_vendor_s_fault_is_reported_without_the_vendor_s_text(practice: Practice) -> None:
    unforeseen = canary("unforeseen")
    sync_with_faults(practice, KeyError(unforeseen.text))
    secrets = practice.secrets
    practice.add_stored_data()

    assert clinics_with_failures(practice) == {*FAULTS, BROKEN} - HARMLESS
    assert "response broke off" in practice.evidence.text_at(ADAPTER)
    assert (
        leaks(
            practice.evidence,
            {**practice.people.homes, **dict.fromkeys((unforeseen, *secrets), NOWHERE)},
        )
        == {}
    )


def test_a_malformed_response_is_reported_without_its_text(practice: Practice) -> None:
    found = canary("found", '"{}" <b>')
    kinds = parse_malformed(practice, found)

    assert kinds == {"ContractViolation", "UnreadableField"}
    assert "{*}" in practice.evidence.text_at(SHAPES)
    assert leaks(practice.evidence, dict.fromkeys((found, *practice.people.homes), NOWHERE)) == {}
