"""Signing in and out: cookies, limits, tokens, and requests of other sites."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, select, text, update

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import (
    ATTEMPTS_PER_ADDRESS,
    ATTEMPTS_PER_OPERATOR,
    OperatorRole,
)
from pims_pipeline.operations.operators import passwords
from pims_pipeline.operations.operators.accounts import (
    create_operator,
    remove_operator,
    set_password,
    take_role,
)
from pims_pipeline.operations.operators.sign_in import hash_of_id
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.operators import operator_log, operator_sign_ins
from pims_pipeline_tests.console.browsers import ADDRESS, OWN_PAGE, PASSWORD, Browser, SignIn
from pims_pipeline_tests.console.conftest import browser_of

WRONG = "The name or the password is wrong."


@pytest.fixture
def ann(engine: Engine) -> str:
    """An operator of all clinics."""
    return create_operator(engine, "Ann", password=PASSWORD, role=OperatorRole.VIEWER).name


def age_sign_ins(engine: Engine, by: timedelta) -> None:
    with transaction(engine) as connection:
        connection.execute(
            update(operator_sign_ins).values(
                created_at=operator_sign_ins.c.created_at - by,
                last_used_at=operator_sign_ins.c.last_used_at - timedelta(minutes=2),
            )
        )


def test_a_page_leads_to_the_sign_in_page_and_back_to_itself(browser: Browser, ann: str) -> None:
    refused = browser.get("/clinics/riverbend?date=2026-03-09")
    assert refused.status_code == 303
    assert refused.headers["location"] == (
        "/console/sign-in?next=/clinics/riverbend%3Fdate%3D2026-03-09"
    )

    done = browser.sign_in(ann, next="/clinics/riverbend?date=2026-03-09")

    assert done.headers["location"] == "/console/clinics/riverbend?date=2026-03-09"


def test_a_part_of_a_page_leads_to_the_sign_in_page_as_a_whole(browser: Browser) -> None:
    refused = browser.get("/", **{"HX-Request": "true"})

    assert refused.status_code == 401
    assert refused.headers["hx-redirect"] == "/console/sign-in?next=/"


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        (f"{ADDRESS}/console/clinics/oak/syncs/1?x=2", "/clinics/oak/syncs/1%3Fx%3D2"),
        ("https://evil.example/console//evil.example", "//evil.example"),
        ("https://evil.example/", "/"),
        ("http://[", "/"),
    ],
)
def test_after_a_part_of_a_page_the_page_itself_is_shown(
    browser: Browser, page: str, wanted: str
) -> None:
    part = "/clinics/oak/syncs/1/progress"
    asked = {"HX-Request": "true", "HX-Current-URL": page}

    assert browser.get(part, **asked).headers["hx-redirect"] == f"/console/sign-in?next={wanted}"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil", "evil"]
)
def test_signing_in_leads_to_no_other_site(browser: Browser, ann: str, elsewhere: str) -> None:
    assert browser.sign_in(ann, next=elsewhere).headers["location"] == "/console/"


def test_the_cookie_is_for_this_host_alone_and_no_script_reads_it(
    app: FastAPI, browser: Browser, ann: str
) -> None:
    here = browser.sign_in(ann).headers["set-cookie"]
    away = browser_of(app, "https://pims.example")
    origin = {**OWN_PAGE, "Origin": "https://pims.example"}
    there = away.send("/sign-in", origin, name=ann, password=PASSWORD).headers["set-cookie"]

    assert here.startswith("pims_console=")
    assert "; HttpOnly; Max-Age=43200; Path=/; SameSite=lax" in here
    assert "Secure" not in here
    assert there.startswith("__Host-pims_console=")
    assert "; HttpOnly; Max-Age=43200; Path=/; SameSite=lax; Secure" in there
    assert "Domain" not in here + there


def test_the_database_knows_the_hash_of_the_id_alone(
    engine: Engine, browser: Browser, ann: str
) -> None:
    browser.sign_in(ann)
    id_ = browser.client.cookies["pims_console"]

    with transaction(engine) as connection:
        assert connection.scalars(select(operator_sign_ins.c.id_hash)).all() == [hash_of_id(id_)]
    assert len(id_) == 43


def test_an_id_that_was_planted_before_is_not_signed_in(
    app: FastAPI, engine: Engine, browser: Browser, ann: str
) -> None:
    browser.client.cookies.set("pims_console", "planted", domain="127.0.0.1")
    browser.sign_in(ann)
    first = browser.client.cookies["pims_console"]
    assert first != "planted"

    attacker = browser_of(app)
    attacker.client.cookies.set("pims_console", "planted")
    assert attacker.get("/").status_code == 303
    # Signing in again ends the sign-in that the browser had.
    browser.sign_in(ann)
    attacker.client.cookies.set("pims_console", first)
    assert attacker.get("/").status_code == 303
    with transaction(engine) as connection:
        assert len(connection.scalars(select(operator_sign_ins.c.id_hash)).all()) == 1


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize("name", ["ann", "eve", "no name\x00", "", "x" * 5000])
def test_a_wrong_name_and_a_wrong_password_look_the_same(browser: Browser, name: str) -> None:
    refused = browser.sign_in(name, "wrong password")

    assert refused.status_code == 403
    assert WRONG in refused.text
    assert "set-cookie" not in refused.headers


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize("name", ["ann", "eve"])
def test_a_name_that_no_operator_has_costs_the_same_check_and_the_same_writes(
    engine: Engine, browser: Browser, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    hasher = passwords._HASHER

    class Counted:
        def verify(self, expected: str, password: bytes) -> bool:
            checked.append(expected)
            return hasher.verify(expected, password)

        def hash(self, password: str) -> str:
            return hasher.hash(password)

    passwords.prepare()
    monkeypatch.setattr(passwords, "_HASHER", Counted())
    browser.sign_in(name, "wrong password")

    assert len(checked) == 1
    parameters = {each.rpartition("$")[0].rpartition("$")[0] for each in checked}
    assert parameters == {"$argon2id$v=19$m=8,t=1,p=1"}
    with transaction(engine) as connection:
        assert connection.scalars(select(operator_log.c.action)).all() == ["sign_in_refused"]


def test_an_operator_without_a_password_signs_in_with_none(
    engine: Engine, browser: Browser
) -> None:
    create_operator(engine, "eva", password=None, role=OperatorRole.ADMIN)

    assert browser.sign_in("eva", "").status_code == 403
    assert browser.sign_in("eva", "None").status_code == 403


def test_signing_out_ends_it_for_every_copy_of_the_cookie(
    app: FastAPI, browser: Browser, ann: str
) -> None:
    browser.sign_in(ann)
    copy = browser_of(app)
    copy.client.cookies.set("pims_console", browser.client.cookies["pims_console"])
    assert copy.get("/").status_code == 200

    done = browser.send("/sign-out", form_token=browser.token())

    assert done.headers["location"] == "/console/sign-in"
    assert "Max-Age=0" in done.headers["set-cookie"]
    assert copy.get("/").status_code == 303


def test_a_removed_operator_and_one_with_a_new_password_are_signed_out(
    engine: Engine, sign_in: SignIn
) -> None:
    eve, ben = sign_in("eve", OperatorRole.ADMIN), sign_in("ben", OperatorRole.ADMIN)
    assert (eve.get("/").status_code, ben.get("/").status_code) == (200, 200)

    remove_operator(engine, "eve")
    set_password(engine, "ben", "another horse battery")

    assert (eve.get("/").status_code, ben.get("/").status_code) == (303, 303)
    assert eve.sign_in("eve").status_code == 403
    assert ben.sign_in("ben", "another horse battery").status_code == 303


def test_a_role_that_is_taken_away_is_gone_with_the_next_page(
    engine: Engine, clinic: Clinic, sign_in: SignIn
) -> None:
    ben = sign_in("ben", OperatorRole.ADMIN, clinic.slug)
    assert ben.get(f"/clinics/{clinic.slug}").status_code == 200

    take_role(engine, "ben", (clinic.slug,))

    assert ben.get(f"/clinics/{clinic.slug}").status_code == 404


def test_a_sign_in_ends_half_an_hour_after_its_last_use(
    engine: Engine, browser: Browser, ann: str
) -> None:
    browser.sign_in(ann)
    with transaction(engine) as connection:
        connection.execute(text("UPDATE operator_sign_ins SET expires_at = now()"))

    assert browser.get("/").status_code == 303


def test_a_sign_in_ends_after_twelve_hours_however_often_it_is_used(
    engine: Engine, browser: Browser, ann: str
) -> None:
    browser.sign_in(ann)
    age_sign_ins(engine, timedelta(hours=11, minutes=45))
    assert browser.get("/").status_code == 200
    with transaction(engine) as connection:
        left = connection.scalar(text("SELECT expires_at - now() FROM operator_sign_ins"))
    assert left <= timedelta(minutes=15)

    age_sign_ins(engine, timedelta(minutes=15))
    assert browser.get("/").status_code == 303


def test_after_too_many_attempts_not_even_the_right_password_is_checked(
    engine: Engine, app: FastAPI, ann: str
) -> None:
    for number in range(ATTEMPTS_PER_OPERATOR):
        elsewhere = browser_of(app, client=f"203.0.113.{number}")
        assert elsewhere.sign_in(ann, "wrong password").status_code == 403

    refused = browser_of(app, client="198.51.100.1").sign_in(" ANN ")

    assert refused.status_code == 429
    assert 800 < int(refused.headers["retry-after"]) <= 900
    assert "Too many attempts. Try again in 15 min." in refused.text
    with transaction(engine) as connection:
        connection.execute(
            text("UPDATE sign_in_attempts SET began_at = began_at - interval '16 minutes'")
        )
    assert browser_of(app).sign_in(ann).status_code == 303


def test_one_address_has_a_limit_for_all_names_together(app: FastAPI, ann: str) -> None:
    browsers = [browser_of(app, client=f"2001:db8::{number:x}") for number in (1, 2)]
    for number in range(ATTEMPTS_PER_ADDRESS):
        browsers[number % 2].sign_in(f"name-{number}", "wrong password")

    assert browsers[0].sign_in(ann).status_code == 429
    assert browser_of(app, client="2001:db8:0:1::1").sign_in(ann).status_code == 303


def test_signing_in_forgets_the_attempts_of_the_operator(app: FastAPI, ann: str) -> None:
    for _ in range(2):
        browser = browser_of(app)
        for _ in range(ATTEMPTS_PER_OPERATOR - 1):
            browser.sign_in(ann, "wrong password")
        assert browser.sign_in(ann).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000", "Sec-Fetch-Site": "same-site"},
        {"Origin": ADDRESS, "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_of_another_site_is_refused(
    sign_in: SignIn, browser: Browser, headers: dict[str, str]
) -> None:
    ben = sign_in("ben", OperatorRole.VIEWER)

    assert ben.send("/sign-out", headers, form_token=ben.token()).status_code == 403
    assert ben.get("/").status_code == 200
    assert browser.send("/sign-in", headers, name="ben", password=PASSWORD).status_code == 403


def test_a_form_without_the_token_of_the_sign_in_is_refused(sign_in: SignIn) -> None:
    ben, eve = sign_in("ben", OperatorRole.VIEWER), sign_in("eve", OperatorRole.VIEWER)

    for token in ("", "é", "0" * 64, eve.token()):
        assert ben.send("/sign-out", form_token=token).status_code == 403
    assert ben.get("/").status_code == 200


def test_the_log_has_who_signed_in_and_out_and_from_where(
    engine: Engine, browser: Browser, ann: str
) -> None:
    browser.sign_in(ann)
    browser.send("/sign-out", form_token=browser.token())

    with transaction(engine) as connection:
        found = connection.execute(
            text(
                "SELECT name, action, address FROM operator_log "
                "JOIN operators ON operators.id = operator_id ORDER BY seq"
            )
        ).all()
    assert found == [("ann", "signed_in", "203.0.113.7"), ("ann", "signed_out", "203.0.113.7")]
