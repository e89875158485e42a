"""A button that is clicked twice: what it starts is started once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.operations.console import launching
from pims_pipeline.operations.credentials import store_login
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.console.browsers import OWN_PAGE, Browser, SignIn
from pims_pipeline_tests.console.conftest import browser_of
from pims_pipeline_tests.console.runs import NotedRuns
from pims_pipeline_tests.console.waiting import LOGIN, add_failure, add_hold, decisions, send

_CLICKS = 4


@pytest.fixture
def api_engine(engine: Engine) -> Iterator[Engine]:
    """As many connections as clicks, so that these arrive at the same time."""
    api_engine = create_engine(let_api_log_in(engine), pool_size=_CLICKS)
    yield api_engine
    api_engine.dispose()


@pytest.fixture
def buttons(engine: Engine, clinic: Clinic, vault: Vault) -> dict[str, dict[str, str]]:
    """The forms that start a run and may be sent again later."""
    store_login(engine, vault, clinic, LOGIN)
    hold_id: UUID = add_hold(engine, clinic)
    return {
        f"/holds/{hold_id}/look-again": {},
        f"/failures/{add_failure(engine, clinic)}/retry": {},
        f"/clinics/{clinic.slug}/sync": {"scope": "full", "reason": "again"},
    }


@pytest.fixture
def olga(sign_in: SignIn) -> Browser:
    """An operator of all clinics."""
    return sign_in("olga", OperatorRole.OPERATOR)


def test_clicks_at_the_same_time_start_one_run_and_lead_to_it(
    app: FastAPI, engine: Engine, olga: Browser, runs: NotedRuns, buttons: dict[str, dict[str, str]]
) -> None:
    token = olga.token()

    def click(path: str, _: int) -> str:
        tab = browser_of(app)
        tab.client.cookies = olga.client.cookies
        fields = {**buttons[path], "form_token": token}
        return str(tab.send(path, OWN_PAGE, **fields).headers["location"])

    for number, path in enumerate(buttons, 1):
        with ThreadPoolExecutor(_CLICKS) as threads:
            [led_to] = set(threads.map(partial(click, path), range(_CLICKS)))
        assert len(runs.launched) == number
        assert led_to.endswith(f"/syncs/{runs.launched[-1].sync_id}")
    assert len(decisions(engine)) == len(buttons)


def test_the_same_is_started_again_later_or_when_it_was_not_started(
    olga: Browser,
    runs: NotedRuns,
    buttons: dict[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs.refusal = "Dagster cannot be reached"
    for path, fields in buttons.items():
        assert send(olga, path, **fields).status_code == 409
    runs.refusal = None
    for path, fields in buttons.items():
        assert send(olga, path, **fields).status_code == 303
    assert len(runs.launched) == len(buttons)

    monkeypatch.setattr(launching, "REPEAT_PAUSE", timedelta())
    for path, fields in buttons.items():
        assert send(olga, path, **fields).status_code == 303
    assert len(runs.launched) == 2 * len(buttons)


def test_another_operator_and_other_dates_are_other_decisions(
    sign_in: SignIn, clinic: Clinic, olga: Browser, runs: NotedRuns, buttons: dict[str, object]
) -> None:
    assert buttons
    otto, address = sign_in("otto", OperatorRole.OPERATOR), f"/clinics/{clinic.slug}/sync"

    for browser in (olga, otto):
        for first in ("", "2026-03-09", "2026-03-08"):
            dates = {"first": first, "last": first}
            assert send(browser, address, scope="inbound", **dates).status_code == 303

    assert len(runs.launched) == 6
