"""Holds, dead letters, schedules and syncs: what an operator decides, and who may."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, Executable, text, update
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.console.launching import SyncStage
from pims_pipeline.operations.credentials import store_login
from pims_pipeline.operations.operators.accounts import create_operator
from pims_pipeline.operations.operators.sign_in import hash_of_id
from pims_pipeline.operations.operators.sign_in import sign_in as open_sign_in
from pims_pipeline.store.clinics import schedule_config
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.errors import DatabaseRefused
from pims_pipeline.store.database.tenancy import as_operator
from pims_pipeline.store.holds import hold_by_id
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.cases import cases
from pims_pipeline.store.tables.syncs import reconciliation_holds, sync_failures
from pims_pipeline_tests.console.browsers import OWN_PAGE, PASSWORD, Browser, SignIn
from pims_pipeline_tests.console.runs import NotedRuns
from pims_pipeline_tests.console.test_pages import NASTY, Structure
from pims_pipeline_tests.console.waiting import (
    LOGIN,
    REASON,
    SCHEDULE,
    TODAY,
    WINDOW,
    add_failure,
    add_hold,
    decisions,
    forms_of,
    send,
)


@pytest.fixture
def ready(engine: Engine, clinic: Clinic, vault: Vault) -> Clinic:
    """The clinic, with a login."""
    store_login(engine, vault, clinic, LOGIN)
    return clinic


@pytest.fixture
def hold_id(engine: Engine, ready: Clinic) -> UUID:
    """See ``add_hold``."""
    return add_hold(engine, ready)


@pytest.fixture
def failure_id(engine: Engine, ready: Clinic) -> UUID:
    """See ``add_failure``."""
    return add_failure(engine, ready)


@pytest.fixture
def olga(sign_in: SignIn) -> Browser:
    """An operator of all clinics."""
    return sign_in("olga", OperatorRole.OPERATOR)


def test_a_hold_shows_each_case_with_what_the_vendor_said_last(
    olga: Browser, hold_id: UUID, ready: Clinic
) -> None:
    assert f"/holds/{hold_id}" in olga.get("/holds").text
    page = olga.get(f"/holds/{hold_id}").text

    for shown in ("Rex", "missing from the calendar", "it no longer exists", str(WINDOW)):
        assert shown in page
    assert olga.get(f"/holds?clinic={ready.slug}&all=1").status_code == 200


def test_an_approval_of_several_days_starts_one_run_over_them(
    engine: Engine, olga: Browser, runs: NotedRuns, hold_id: UUID, ready: Clinic
) -> None:
    response = send(olga, f"/holds/{hold_id}/approve", reason=f"  {REASON}\n")

    [run] = runs.launched
    assert response.status_code == 303
    assert response.headers["location"].endswith(f"/clinics/{ready.slug}/syncs/{run.sync_id}")
    assert (run.scope, run.slug, run.window) == ("reconcile", ready.slug, WINDOW)
    chosen = {"approve_hold": str(hold_id), "approved_by": "olga"}
    assert run.config == {"ops": {"reconciliation": {"config": chosen}}}
    [(who, action, facts)] = decisions(engine)
    assert (who, action) == ("olga", "hold_approved")
    assert (facts["reason"], facts["hold_id"]) == (REASON, str(hold_id))
    assert facts["sync_id"] == str(run.sync_id)
    assert REASON in olga.get(f"/holds/{hold_id}").text


def test_an_approval_that_is_sent_twice_starts_one_run(
    olga: Browser, runs: NotedRuns, hold_id: UUID
) -> None:
    address = f"/holds/{hold_id}/approve"
    runs.refusal = "Dagster cannot be reached"
    assert send(olga, address, reason=REASON).status_code == 409
    runs.refusal = None

    assert send(olga, address, reason=REASON).status_code == 303
    again = send(olga, address, reason=REASON)

    assert again.status_code == 409
    assert "olga started an approval of this hold a moment ago" in again.text
    assert len(runs.launched) == 1


def test_a_rejection_is_written_with_its_reason_and_decided_once(
    engine: Engine, olga: Browser, runs: NotedRuns, hold_id: UUID
) -> None:
    assert send(olga, f"/holds/{hold_id}/reject", reason=REASON).status_code == 303
    again = send(olga, f"/holds/{hold_id}/approve", reason=REASON)

    with transaction(engine) as connection:
        hold = hold_by_id(connection, hold_id)
    assert (hold.status, hold.decided_by) == ("rejected", "olga")
    assert again.status_code == 409
    assert "was rejected by olga" in again.text
    assert [(each[1], each[2]["reason"]) for each in decisions(engine)] == [
        ("hold_rejected", REASON)
    ]
    assert runs.launched == []
    reopening = f"/holds/{hold_id}/reopen"
    assert [send(olga, reopening, reason=REASON).status_code for _ in range(2)] == [303, 409]
    with transaction(engine) as connection:
        assert not hold_by_id(connection, hold_id).is_in_force
    assert [each[1] for each in decisions(engine)] == ["hold_rejected", "hold_reopened"]


@pytest.mark.parametrize("reason", ["", " \t\0", "x" * 501])
def test_a_decision_needs_a_reason(
    engine: Engine, olga: Browser, hold_id: UUID, reason: str
) -> None:
    for action in ("approve", "reject"):
        page = send(olga, f"/holds/{hold_id}/{action}", reason=reason)
        assert page.status_code == 409
        assert f'aria-describedby="{action}-reason-problem"' in page.text
    assert decisions(engine) == []


def test_a_run_that_was_not_started_is_in_the_log_and_on_the_page(
    engine: Engine, olga: Browser, runs: NotedRuns, hold_id: UUID
) -> None:
    runs.refusal = "Dagster cannot be reached"

    page = send(olga, f"/holds/{hold_id}/approve", reason=REASON)

    assert page.status_code == 409
    assert "not started: Dagster cannot be reached" in page.text
    assert [each[2].get("problem") for each in decisions(engine)] == [None, runs.refusal]


def test_looking_again_starts_a_plain_run_over_the_days_of_the_hold(
    engine: Engine, olga: Browser, runs: NotedRuns, hold_id: UUID
) -> None:
    assert send(olga, f"/holds/{hold_id}/look-again").status_code == 303

    [run] = runs.launched
    assert (run.scope, run.window, run.config) == ("reconcile", WINDOW, {})
    assert [each[1] for each in decisions(engine)] == ["sync_started"]


def test_a_retry_makes_the_dead_letter_due_and_starts_its_phase(
    engine: Engine, olga: Browser, runs: NotedRuns, failure_id: UUID, ready: Clinic
) -> None:
    assert "dead letter" in olga.get("/failures").text
    assert send(olga, f"/failures/{failure_id}/retry").status_code == 303

    [run] = runs.launched
    assert (run.scope, run.slug, run.window) == ("cases", ready.slug, DateRange(TODAY, TODAY))
    [(_, action, facts)] = decisions(engine)
    assert (action, facts["failure_id"]) == ("failure_retried", str(failure_id))
    with transaction(engine) as connection:
        due = connection.scalar(text("SELECT next_retry_at FROM sync_failures"))
    assert due is not None


def test_a_sync_is_started_and_watched_until_it_has_ended(
    olga: Browser, runs: NotedRuns, ready: Clinic
) -> None:
    assert "Start" in olga.get(f"/clinics/{ready.slug}/sync").text
    started = send(olga, f"/clinics/{ready.slug}/sync", scope="inbound", reason=REASON)
    address = started.headers["location"].removeprefix("/console")
    running = olga.get(address).text
    runs.now = SyncStage(status="completed", has_ended=True)
    ended = olga.get(f"{address}/progress").text

    assert 'hx-trigger="every 2s"' in running
    assert REASON in running
    assert "<html" not in ended
    assert "completed" in ended
    assert "hx-" not in ended
    assert runs.launched[0].tags["pims/origin"] == "console"
    assert olga.get(f"/clinics/{ready.slug}/syncs/{uuid4()}").status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": "inbound", "first": "2020-01-01"},
        {"scope": "inbound", "first": "yesterday"},
        {"scope": "inbound", "first": "2026-03-09", "last": "2026-03-08"},
        {"scope": "everything"},
    ],
)
def test_dates_that_cannot_be_synced_are_refused_beside_the_field(
    olga: Browser, runs: NotedRuns, ready: Clinic, fields: dict[str, str]
) -> None:
    page = send(olga, f"/clinics/{ready.slug}/sync", **fields)

    assert page.status_code == 409
    assert 'id="dates-problem"' in page.text
    assert runs.launched == []


def test_a_clinic_without_a_login_is_not_synced(
    olga: Browser, runs: NotedRuns, clinic: Clinic
) -> None:
    page = send(olga, f"/clinics/{clinic.slug}/sync", scope="full")

    assert page.status_code == 409
    assert "no login is stored" in page.text
    assert runs.launched == []


def test_a_name_and_a_reason_stay_text_on_the_page_of_a_hold(
    engine: Engine, olga: Browser, ready: Clinic
) -> None:
    def structure(name: str) -> list[object]:
        with transaction(engine) as connection:
            for table in ("reconciliation_holds", "pims_appointments", "cases"):
                connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - fixed names
        hold_id = add_hold(engine, ready)
        with transaction(engine) as connection:
            connection.execute(update(cases).values(patient_name=name, client_name=name))
        assert send(olga, f"/holds/{hold_id}/reject", reason=name).status_code == 303
        return [*Structure(olga.get(f"/holds/{hold_id}").text).parts]

    harmless = structure("Zoë")
    for name in NASTY:
        assert structure(name) == harmless


def hidden(page: str, name: str) -> str:
    return page.split(f'name="{name}" value="', 1)[1].split('"', 1)[0]


def test_a_schedule_is_saved_only_after_its_next_times_were_shown(
    engine: Engine, sign_in: SignIn, clinic: Clinic
) -> None:
    ada = sign_in("ada", OperatorRole.ADMIN, clinic.slug)
    address = f"/clinics/{clinic.slug}/schedule"
    stored = hidden(ada.get(address).text, "stored")
    shown = send(ada, address, **SCHEDULE, stored=stored, do="save")
    digest = hidden(shown.text, "shown")
    other = send(
        ada, address, **{**SCHEDULE, "cases": "5 5 * * *"}, stored=stored, shown=digest, do="save"
    )

    assert shown.text.count("<time") == 10
    assert "Nothing is saved yet" in other.text
    assert decisions(engine) == []
    sent = {**SCHEDULE, "stored": stored, "shown": digest, "do": "save", "reason": REASON}
    saved = send(ada, address, **sent)
    assert saved.status_code == 303
    with transaction(engine) as connection:
        config = schedule_config(connection, clinic)
    assert (config.sync_schedules[Phase.CASES], config.days_ahead) == ("off", 14)
    assert send(ada, address, **sent).status_code == 303
    [(who, action, facts)] = decisions(engine)
    assert (who, action) == ("ada", "schedule_changed")
    assert (facts["changes"]["days_ahead"], facts["reason"]) == (["7", "14"], REASON)
    with transaction(engine) as connection:
        connection.execute(text("UPDATE clinic_schedule_configs SET days_ahead = 3"))
    stale = send(ada, address, **sent)
    assert stale.status_code == 409
    assert "Someone changed this schedule" in stale.text
    assert clinic.slug in ada.get("/schedules").text


@pytest.mark.parametrize(
    ("name", "value"),
    [("inbound", "61 * * * *"), ("cases", ""), ("days_ahead", "91"), ("days_ahead", "٣")],
)
def test_what_is_wrong_with_a_schedule_is_said_beside_its_field(
    engine: Engine, sign_in: SignIn, clinic: Clinic, name: str, value: str
) -> None:
    ada = sign_in("ada", OperatorRole.ADMIN)
    address = f"/clinics/{clinic.slug}/schedule"

    page = send(ada, address, **{**SCHEDULE, name: value}, do="save")

    assert page.status_code == 409
    assert f'id="{name}-problem"' in page.text
    assert page.text.count("field-problem") == 1
    assert decisions(engine) == []


@pytest.fixture
def forms(hold_id: UUID, failure_id: UUID, ready: Clinic) -> dict[str, dict[str, str]]:
    """The forms of the clinic's pages."""
    return forms_of(hold_id, failure_id, ready.slug)


def test_a_viewer_sees_all_of_it_and_decides_nothing(
    engine: Engine, sign_in: SignIn, runs: NotedRuns, forms: dict[str, dict[str, str]]
) -> None:
    vera = sign_in("vera", OperatorRole.VIEWER)
    hold = next(iter(forms)).removesuffix("/approve")
    for path in ("/holds", hold, "/failures", "/schedules"):
        page = vera.get(path)
        # The only form is the one that signs out.
        assert (path, page.status_code, page.text.count("<form")) == (path, 200, 1)

    for path, fields in forms.items():
        assert (path, send(vera, path, **fields).status_code) == (path, 403)
    assert (runs.launched, decisions(engine)) == ([], [])


def test_an_operator_changes_no_schedule(engine: Engine, olga: Browser, clinic: Clinic) -> None:
    address = f"/clinics/{clinic.slug}/schedule"
    assert "Show the next times" not in olga.get(address).text
    assert send(olga, address, **SCHEDULE, do="save").status_code == 403
    assert decisions(engine) == []


@pytest.fixture
def others(engine: Engine, other_clinic: Clinic, vault: Vault) -> dict[str, dict[str, str]]:
    """The forms of another clinic's pages."""
    store_login(engine, vault, other_clinic, LOGIN)
    return forms_of(
        add_hold(engine, other_clinic), add_failure(engine, other_clinic), other_clinic.slug
    )


def test_what_another_clinic_waits_for_does_not_exist(
    engine: Engine,
    sign_in: SignIn,
    runs: NotedRuns,
    clinic: Clinic,
    others: dict[str, dict[str, str]],
) -> None:
    ada = sign_in("ada", OperatorRole.ADMIN, clinic.slug)
    hold = next(iter(others)).removesuffix("/approve")

    for path in ("/holds?all=1", "/failures?all=1", "/schedules"):
        assert "oak-lane" not in ada.get(path).text
    for path in (hold, "/holds?clinic=oak-lane", "/failures?clinic=oak-lane"):
        assert (path, ada.get(path).status_code) == (path, 404)
    for path, fields in others.items():
        assert (path, send(ada, path, **fields).status_code) == (path, 404)
    assert (runs.launched, decisions(engine)) == ([], [])


def test_a_form_of_another_site_or_of_another_sign_in_decides_nothing(
    engine: Engine, olga: Browser, runs: NotedRuns, forms: dict[str, dict[str, str]]
) -> None:
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    token = olga.token()
    for path, fields in forms.items():
        assert olga.send(path, foreign, form_token=token, **fields).status_code == 403
        assert olga.send(path, OWN_PAGE, form_token="0" * 64, **fields).status_code == 403
    assert (runs.launched, decisions(engine)) == ([], [])


@pytest.mark.usefixtures("hold_id", "failure_id")
def test_the_database_refuses_a_viewers_decisions_too(engine: Engine, api_engine: Engine) -> None:
    def changed(role: OperatorRole) -> list[int]:
        create_operator(engine, f"the-{role}", password=PASSWORD, role=role)
        opened = open_sign_in(api_engine, f"the-{role}", PASSWORD, address="203.0.113.7")
        seen = as_operator(api_engine, hash_of_id(opened.id))
        statements: list[Executable] = [
            update(reconciliation_holds).values(decided_by="x"),
            update(sync_failures).values(next_retry_at=None),
            text("UPDATE clinic_schedule_configs SET days_ahead = 3"),
        ]
        with transaction(seen) as connection:
            return [connection.execute(each).rowcount for each in statements]

    assert changed(OperatorRole.VIEWER) == [0, 0, 0]
    assert changed(OperatorRole.OPERATOR) == [1, 1, 0]
    assert changed(OperatorRole.ADMIN) == [1, 1, 1]


def test_the_clients_addresses_in_the_log_are_not_shown(engine: Engine, api_engine: Engine) -> None:
    create_operator(engine, "vera", password=PASSWORD, role=OperatorRole.ADMIN)
    opened = open_sign_in(api_engine, "vera", PASSWORD, address="203.0.113.7")
    seen = as_operator(api_engine, hash_of_id(opened.id))

    with (
        pytest.raises((DatabaseRefused, DBAPIError), match="permission denied"),
        transaction(seen) as connection,
    ):
        connection.execute(text("SELECT address FROM operator_log"))
