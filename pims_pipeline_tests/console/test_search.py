"""Searching cases: what is found, for whom, and what stays of the search."""

import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.console.browsers import OWN_PAGE, Browser, SignIn
from pims_pipeline_tests.console.practice import DAY, add_case

_LINK = re.compile(r'<a href="/console/cases/([0-9a-f-]{36})">')


def found_by(browser: Browser, wanted: str) -> list[str]:
    """The ids of the cases that a search shows, in their order."""
    page = browser.send("/search", text=wanted, form_token=browser.token())
    assert page.status_code == 200
    return _LINK.findall(page.text)


@pytest.fixture
def rex(engine: Engine, clinic: Clinic) -> str:
    """A case to search for, beside another one."""
    with transaction(engine) as connection:
        add_case(connection, clinic, pims_id="Z-9", patient_name="Bo", client_name="Kim")
        return str(
            add_case(
                connection,
                clinic,
                pims_id="appt/19-7",
                patient_name="Rex-Rufus",
                client_name="Ann O'Neil/Świątek",
                client_phone="+1 (555) 010-0199",
            )
        )


@pytest.mark.parametrize(
    "wanted",
    [
        *("rex", "ruf", "REX ann", "o'neil", "neil rex", "świą", "Ann O'Neil/Świątek"),
        *("+1 (555) 010-0199", "5550100199", "001 555 010 0199", "0199", "010.0199"),
        *("appt/19-7", " appt/19-7 "),
    ],
)
def test_a_case_is_found_by_names_phone_and_vendor_id(
    rex: str, sign_in: SignIn, wanted: str
) -> None:
    assert found_by(sign_in("ben", OperatorRole.VIEWER), wanted) == [rex]


@pytest.mark.parametrize("wanted", ["ufus", "rex kim", "0198", "appt", "19-7", "199", "%", "' | x"])
def test_what_does_not_match_is_not_found(rex: str, sign_in: SignIn, wanted: str) -> None:
    assert rex not in found_by(sign_in("ben", OperatorRole.VIEWER), wanted)


def test_the_newest_appointments_come_first_and_fifty_are_shown(
    engine: Engine, clinic: Clinic, sign_in: SignIn
) -> None:
    with transaction(engine) as connection:
        for number in range(51):
            add_case(connection, clinic, pims_id=f"B-{number}", patient_name="Bella")
        tomorrow = {"patient_name": "Bella", "scheduled_date": DAY + timedelta(days=1)}
        newest = add_case(connection, clinic, pims_id="B-new", **tomorrow)
    ben = sign_in("ben", OperatorRole.VIEWER)

    page = ben.send("/search", text="bella", form_token=ben.token()).text

    assert "More than 50 cases match" in page
    shown = _LINK.findall(page)
    assert (len(shown), shown[0]) == (50, str(newest))


def test_another_clinics_cases_are_not_found(
    engine: Engine, clinic: Clinic, other_clinic: Clinic, rex: str, sign_in: SignIn
) -> None:
    same = {"patient_name": "Rex", "pims_id": "appt/19-7", "client_phone": "5550100199"}
    with transaction(engine) as connection:
        others = str(add_case(connection, other_clinic, **same))
    ben, eve = (
        sign_in("ben", OperatorRole.VIEWER, clinic.slug),
        sign_in("eve", OperatorRole.ADMIN, other_clinic.slug),
    )

    for wanted in ("rex", "0199", "appt/19-7"):
        assert found_by(ben, wanted) == [rex]
        assert found_by(eve, wanted) == [others]


def test_the_log_has_who_saw_which_cases_and_nothing_of_the_text(
    engine: Engine, rex: str, sign_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    ben = sign_in("ben", OperatorRole.VIEWER)
    caplog.set_level("DEBUG", logger="pims_pipeline")

    found_by(ben, "rufus")

    with transaction(engine) as connection:
        [facts] = connection.scalars(
            text("SELECT details FROM operator_log WHERE action = 'cases_searched'")
        )
    assert facts == {"by": ["name", "vendor_id"], "cases": [rex]}
    assert "rufus" not in f"{caplog.text}{json.dumps(facts)}".lower()
    assert "/console/search" in caplog.text


def test_a_search_is_a_form_of_the_operators_own_page(rex: str, sign_in: SignIn) -> None:
    ben = sign_in("ben", OperatorRole.VIEWER)
    foreign = {**OWN_PAGE, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}

    for refused in (
        ben.send("/search", text="rex"),
        ben.send("/search", foreign, text="rex", form_token=ben.token()),
    ):
        assert refused.status_code == 403
        assert rex not in refused.text
    # An address is no search: it would be kept in histories and logs.
    assert rex not in ben.get("/search?text=rex").text


def test_a_search_for_nothing_says_what_to_type(sign_in: SignIn) -> None:
    ben = sign_in("ben", OperatorRole.VIEWER)

    page = ben.send("/search", text="-", form_token=ben.token()).text

    assert "Type at least two letters or digits" in page


def test_each_part_of_a_search_has_an_index(engine: Engine, rex: str) -> None:
    with transaction(engine) as connection:
        body = connection.scalar(
            text(
                "SELECT pg_get_function_sqlbody("
                "'pims_find_cases(text, text, text, integer)'::regprocedure)"
            )
        )
        assert body is not None
        statement = body.partition("BEGIN ATOMIC")[2].rpartition(";")[0]
        for name, value in (
            ("words", "'''rex'':*'::text"),
            ("digits", "'9910'::text"),
            ("vendor_id", "'A-1'::text"),
            ("most", "50"),
        ):
            # The body has no quoted text with such a word in it.
            statement = re.sub(rf"(pims_find_cases\.)?\b{name}\b", value, statement)
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explained = connection.exec_driver_sql(f"EXPLAIN {statement}").scalars().all()
    plan = "\n".join(explained)

    assert {"ix_cases_names", "ix_cases_phone", "ix_cases_pims_id"} <= set(
        re.findall(r"ix_cases_\w+", plan)
    )
    assert "Seq Scan on cases" not in plan
    assert rex
