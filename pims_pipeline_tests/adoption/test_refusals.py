"""What cannot be adopted is refused in one line that says what to do, and changes nothing."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest
from sqlalchemy import Engine, make_url, text

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.adoption.inspection import inspect_installation
from pims_pipeline.domain.adoption.clinics import AdoptionRefused, UnknownV4Clinic
from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.providers.registry import ENTRY_POINTS
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.locks import LockTimeout, lock_clinic
from pims_pipeline.store.secrets.v4_credentials import V4KeyMissing, V4Undecryptable
from pims_pipeline.store.v4.installation import MissingRight, NotAV4Installation
from pims_pipeline_tests.adoption.planted import (
    KEY_VARIABLE,
    LOGIN,
    SCHEMA,
    PlantedClinic,
    V4Installation,
    plant_clinic,
)
from pims_pipeline_tests.adoption.ways import adopted, rows
from pims_pipeline_tests.cli.invocation import everything
from pims_pipeline_tests.providers.packages import installed_beside
from pims_pipeline_tests.providers.test_packages import GOOD

DAY = date(2026, 3, 20)


@pytest.fixture
def planted(deployed: V4Installation) -> PlantedClinic:
    return plant_clinic(deployed, DAY)


def no_variable(_: str) -> None:
    """An environment without any key."""


def refusal(
    engine: Engine,
    request: AdoptionRequest,
    kind: type[UserFacingError],
    environment: dict[str, str] | None = None,
) -> str:
    """The one line of a refusal that changed nothing."""
    given = {KEY_VARIABLE: "a v4.0 key"} if environment is None else environment
    before = everything(engine)
    with pytest.raises(kind) as refused:
        adopted(engine, request, given.get)
    assert everything(engine) == before
    line = str(refused.value)
    assert "\n" not in line
    return line


def test_a_schema_without_such_tables_is_named_with_what_was_looked_for(
    engine: Engine, wanted: AdoptionRequest
) -> None:
    line = refusal(engine, replace(wanted, schema="nowhere"), NotAV4Installation)
    assert "nowhere" in line
    assert "external_id, scheduled_at, source (deployed layout)" in line
    assert "case_type, patient_name, pims_id, scheduled_date (documented layout)" in line


def test_our_own_tables_are_not_taken_for_theirs(engine: Engine, wanted: AdoptionRequest) -> None:
    line = refusal(engine, replace(wanted, schema="public"), NotAV4Installation)
    assert "this pipeline's own tables" in line


def test_a_table_that_changed_since_it_was_inspected_is_named(
    engine: Engine, deployed: V4Installation, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    assert inspect_installation(engine, SCHEMA).clinics[0].clinic.id == planted.id
    deployed.run("ALTER TABLE idexx_credentials RENAME encryption_key_id TO key_name")
    line = refusal(engine, wanted, NotAV4Installation)
    assert "theirs.idexx_credentials" in line
    assert "encryption_key_id" in line


def test_times_without_a_zone_are_not_guessed(
    engine: Engine, deployed: V4Installation, wanted: AdoptionRequest
) -> None:
    deployed.run("ALTER TABLE cases ALTER scheduled_at TYPE timestamp")
    line = refusal(engine, wanted, NotAV4Installation)
    assert "column scheduled_at is timestamp without time zone" in line


def test_an_unknown_clinic_is_refused(engine: Engine, wanted: AdoptionRequest) -> None:
    line = refusal(engine, replace(wanted, clinic="lakeside"), UnknownV4Clinic)
    assert "'lakeside'" in line


@pytest.mark.usefixtures("planted")
def test_the_variable_of_a_missing_key_is_named(engine: Engine, wanted: AdoptionRequest) -> None:
    line = refusal(engine, wanted, V4KeyMissing, {})
    assert "'prod'" in line
    assert "IDEXX_ENCRYPTION_KEY_PROD or IDEXX_ENCRYPTION_KEY" in line


@pytest.mark.parametrize("variable", [KEY_VARIABLE, "IDEXX_ENCRYPTION_KEY"])
def test_a_key_that_does_not_decrypt_is_named_without_any_content(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest, variable: str
) -> None:
    line = refusal(engine, wanted, V4Undecryptable, {variable: "another"})
    assert "'prod'" in line
    assert f"the value of {variable} does not decrypt" in line
    assert str(planted.id) in line
    assert not any(secret in line for secret in (*LOGIN.values(), "another"))


@pytest.mark.usefixtures("planted")
def test_a_login_that_is_not_one_of_the_provider_is_refused_without_its_values(
    engine: Engine, wanted: AdoptionRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("a_package_of_others")
    module.__dict__["PROVIDER"] = GOOD
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = EntryPoint(GOOD.type, f"{module.__name__}:PROVIDER", ENTRY_POINTS)
    theirs = replace(wanted, answers=replace(wanted.answers, provider_type=GOOD.type))
    with installed_beside(entry):
        line = refusal(engine, theirs, AdoptionRefused)
        assert "the login of v4.0 is not one of provider 'another_vendor'" in line
        assert "--without-credentials" in line
        assert not any(value in line for value in LOGIN.values())
        result = adopted(engine, replace(theirs, with_credentials=False), no_variable)
    assert (result.clinic.provider_type, result.has_login) == (GOOD.type, False)


def test_a_clinic_without_credentials_is_refused_unless_that_is_said(
    engine: Engine, deployed: V4Installation, wanted: AdoptionRequest
) -> None:
    clinic = deployed.clinic()
    deployed.login(clinic, is_active=False)
    assert "--without-credentials" in refusal(engine, wanted, AdoptionRefused)

    result = adopted(engine, replace(wanted, with_credentials=False))

    assert (result.clinic.id, result.has_login) == (clinic, False)


def test_a_login_that_was_missing_is_imported_by_the_next_run(
    engine: Engine, deployed: V4Installation, wanted: AdoptionRequest
) -> None:
    clinic = deployed.clinic()
    adopted(engine, replace(wanted, with_credentials=False))
    deployed.login(clinic)

    assert adopted(engine, wanted).has_login
    assert not adopted(engine, wanted).has_login


@pytest.mark.usefixtures("planted")
def test_the_address_of_the_system_must_be_said(engine: Engine, wanted: AdoptionRequest) -> None:
    request = replace(wanted, answers=replace(wanted.answers, base_url=None))
    assert "--base-url" in refusal(engine, request, AdoptionRefused)


def test_a_clinic_that_was_adopted_under_another_name_is_found_by_its_id(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    adopted(engine, replace(wanted, answers=replace(wanted.answers, slug="the-first")))

    again = adopted(engine, replace(wanted, clinic=str(planted.id)))

    assert (again.changes, again.clinic.slug) == (False, "the-first")


def test_a_clinic_is_not_adopted_over_one_of_the_same_name(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    rows(
        engine,
        "INSERT INTO clinics (slug, name, timezone, provider_type, provider_base_url) "
        "VALUES ('riverbend', 'Ours', 'UTC', 'idexx_neo', 'https://x.example') RETURNING id",
    )
    assert "--slug" in refusal(engine, wanted, AdoptionRefused)

    renamed = replace(wanted, answers=replace(wanted.answers, slug="riverbend-two"))

    assert adopted(engine, renamed).clinic.id == planted.id


def test_a_documented_clinic_without_a_zone_is_refused_until_one_is_said(
    engine: Engine, database_url: str, wanted: AdoptionRequest
) -> None:
    with V4Installation(database_url, Layout.DOCUMENTED) as theirs:
        theirs.login(theirs.clinic(timezone=None))
        request = replace(wanted, schema=theirs.schema)
    assert "--timezone" in refusal(engine, request, AdoptionRefused)

    said = replace(request, answers=replace(request.answers, timezone="America/Denver"))

    assert adopted(engine, said).clinic.timezone == "America/Denver"


def test_a_clinic_that_another_process_adopts_is_locked(
    engine: Engine, database_url: str, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    before = everything(engine)
    impatient = create_engine(database_url, lock_seconds=0.1)
    other = create_engine(database_url)
    with other.connect() as holder, holder.begin():
        lock_clinic(holder, planted.id)
        with pytest.raises(LockTimeout, match="writing to this clinic is locked by session"):
            adopted(impatient, wanted)
    impatient.dispose()
    other.dispose()
    assert everything(engine) == before


@pytest.fixture
def as_service(engine: Engine) -> Iterator[Engine]:
    """An engine with the rights of the service's role, which has none on their tables."""
    url = make_url(engine.url).update_query_dict({"options": "-c role=pims_service"})
    limited = create_engine(url.render_as_string(hide_password=False))
    yield limited
    limited.dispose()


@pytest.mark.usefixtures("planted")
def test_each_missing_right_is_named_with_its_grant(
    engine: Engine, as_service: Engine, wanted: AdoptionRequest
) -> None:
    granted = []
    while True:
        with pytest.raises(MissingRight) as refused:
            adopted(as_service, wanted)
        _, found, statement = str(refused.value).partition("GRANT ")
        if not found:
            break
        grant, _, rest = statement.partition("; nothing was changed")
        assert rest == ""
        granted.append(grant)
        with transaction(engine) as connection:
            connection.execute(text(f"GRANT {grant}"))
    assert granted[:2] == [
        'USAGE ON SCHEMA "theirs" TO "pims_service"',
        'SELECT ON "theirs"."clinics" TO "pims_service"',
    ]
    # Its policies would make the clinic look as if it had no cases.
    assert "row-level security hides rows of theirs.cases" in str(refused.value)
    assert "BYPASSRLS" in str(refused.value)
    assert rows(engine, "SELECT id FROM clinics") == []
