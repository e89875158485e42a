"""Who tries passwords, or very many at a time, and what that costs the operators."""

from contextlib import ExitStack

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, func, select

from pims_pipeline.domain.console.operators import (
    ATTEMPTS_PER_ADDRESS,
    ATTEMPTS_PER_OPERATOR,
    OperatorRole,
)
from pims_pipeline.operations.operators import passwords, sign_in
from pims_pipeline.operations.operators.accounts import (
    create_operator,
    remove_operator,
    set_password,
)
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.operators import operator_sign_ins, sign_in_attempts
from pims_pipeline_tests.console.browsers import ADDRESS, OWN_PAGE, PASSWORD, Browser
from pims_pipeline_tests.console.conftest import browser_of

HOME, ELSEWHERE = "203.0.113.7", "198.51.100.{}"


@pytest.fixture
def ann(engine: Engine) -> str:
    """An operator of all clinics."""
    return create_operator(engine, "ann", password=PASSWORD, role=OperatorRole.VIEWER).name


def counted(engine: Engine) -> int:
    with transaction(engine) as connection:
        found = connection.scalar(select(func.count()).select_from(sign_in_attempts))
    return found or 0


def test_strangers_lock_no_operator_out_of_where_the_operator_signs_in(
    app: FastAPI, ann: str
) -> None:
    assert browser_of(app, client=HOME).sign_in(ann).status_code == 303
    for number in range(ATTEMPTS_PER_OPERATOR + 1):
        browser_of(app, client=ELSEWHERE.format(number)).sign_in(ann, "wrong password")

    assert browser_of(app, client=ELSEWHERE.format(99)).sign_in(ann).status_code == 429
    assert browser_of(app, client=HOME).sign_in(ann).status_code == 303


def test_attempts_from_where_an_operator_signed_in_have_the_same_limit(
    app: FastAPI, ann: str
) -> None:
    browser = browser_of(app, client=HOME)
    assert browser.sign_in(ann).status_code == 303
    for _ in range(ATTEMPTS_PER_OPERATOR):
        assert browser.sign_in(ann, "wrong password").status_code == 403

    assert browser.sign_in(ann).status_code == 429
    assert browser_of(app, client=ELSEWHERE.format(1)).sign_in(ann).status_code == 303


def test_an_address_with_too_many_attempts_counts_for_no_operator(
    engine: Engine, app: FastAPI, ann: str
) -> None:
    stranger = browser_of(app, client=ELSEWHERE.format(1))
    for number in range(ATTEMPTS_PER_ADDRESS):
        stranger.sign_in(f"name-{number}", "wrong password")
    before = counted(engine)
    for number in range(ATTEMPTS_PER_OPERATOR + 1):
        assert stranger.sign_in(ann).status_code == 429
        stranger.sign_in(f"other-{number}", "wrong password")

    assert counted(engine) == before
    assert browser_of(app, client=HOME).sign_in(ann).status_code == 303


def test_who_would_wait_for_long_is_sent_away_uncounted(
    engine: Engine, browser: Browser, ann: str
) -> None:
    with ExitStack() as line:
        for _ in range(passwords._AT_ONCE + passwords._MOST_WAITING):
            line.enter_context(passwords.place_in_line())
        refused = browser.sign_in(ann)

        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert "Too many people sign in at this moment." in refused.text
        assert counted(engine) == 0
    assert browser.sign_in(ann).status_code == 303


@pytest.mark.parametrize("change", ["another password", "removed", "added again"])
def test_a_password_that_is_replaced_while_it_is_checked_opens_nothing(
    engine: Engine, browser: Browser, ann: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(*_: object) -> bool:
        if change == "another password":
            set_password(engine, ann, "another horse battery")
        else:
            remove_operator(engine, ann)
        if change == "added again":
            create_operator(engine, ann, password="another horse battery", role=OperatorRole.ADMIN)
        return True

    monkeypatch.setattr(sign_in, "is_password", checked)

    assert browser.sign_in(ann).status_code == 403
    with transaction(engine) as connection:
        assert connection.scalars(select(operator_sign_ins)).all() == []


def test_an_address_at_which_no_sign_in_is_kept_says_so_and_counts_nothing(
    app: FastAPI, engine: Engine, ann: str
) -> None:
    address = "http://pims.example"
    page = browser_of(app, address).send(
        "/sign-in", {"Origin": address}, name=ann, password=PASSWORD
    )

    assert page.status_code == 403
    assert "the browser keeps no sign-in" in page.text
    assert "set-cookie" not in page.headers
    assert counted(engine) == 0


def test_the_cookie_needs_tls_if_the_browser_came_by_it_to_a_proxy_of_this_machine(
    browser: Browser, ann: str
) -> None:
    origin = ADDRESS.replace("http:", "https:")
    by_tls = {**OWN_PAGE, "Origin": origin, "X-Forwarded-Proto": "https, http"}

    kept = browser.send("/sign-in", by_tls, name=ann, password=PASSWORD).headers["set-cookie"]

    assert kept.startswith("__Host-pims_console=")
    assert kept.endswith("; Secure")
