"""``PIMS_DATABASE_SCHEMA`` as a setting: its names, and how it relates to the addresses."""

import pytest

from pims_pipeline.domain.addresses.parsing import SCHEMA_NAME, parse_database_address
from pims_pipeline.settings import load_settings, variable_names
from pims_pipeline_tests.test_settings import DATABASE, KEY, loaded, problems


@pytest.fixture(autouse=True)
def _no_variable_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in variable_names().values():
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("schema", ["pims", "_own2", "user", "public", "p" * 63])
def test_a_schema_that_can_hold_our_tables_is_accepted(
    monkeypatch: pytest.MonkeyPatch, schema: str
) -> None:
    settings = loaded(monkeypatch, PIMS_DATABASE_SCHEMA=schema)

    assert parse_database_address(settings.in_our_schema(DATABASE)).schema == schema


@pytest.mark.parametrize(
    "schema",
    [
        "Pims",
        "my-schema",
        'a"b',
        "a b",
        "a.b",
        "a$b",
        "2nd",
        "pg_pims",
        "information_schema",
        "dagster",
        "p" * 64,
        "größe",
        "a,public",
    ],
)
def test_a_schema_that_cannot_hold_our_tables_is_refused(schema: str) -> None:
    [problem] = problems(PIMS_DATABASE_SCHEMA=schema)

    assert problem == f"PIMS_DATABASE_SCHEMA must be {SCHEMA_NAME}"


@pytest.mark.parametrize("variable", ["PIMS_DATABASE_URL", "PIMS_API_DATABASE_URL"])
def test_an_address_may_repeat_the_schema_and_not_contradict_it(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for written in ("schema=one", "options=-csearch_path%3Done"):
        address = {variable: f"{DATABASE}&{written}", "ENCRYPTION_KEY": KEY}
        [problem] = problems(**address, PIMS_DATABASE_SCHEMA="two")
        assert problem == (
            f"{variable} and PIMS_DATABASE_SCHEMA name different schemas; remove the schema from "
            "one of them"
        )
        settings = loaded(monkeypatch, **address, PIMS_DATABASE_SCHEMA="one")
        assert parse_database_address(settings.in_our_schema(address[variable])).schema == "one"
        monkeypatch.delenv("PIMS_DATABASE_SCHEMA")
        assert load_settings().in_our_schema(address[variable]) == address[variable]


@pytest.mark.parametrize("written", ["", "?schema=pims"])
def test_dagster_s_own_address_names_another_schema_where_ours_is_set(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    address = "postgres://dagster:hunter2@db.example/pims"

    [problem] = problems(DAGSTER_POSTGRES_URL=f"{address}{written}", PIMS_DATABASE_SCHEMA="pims")

    assert problem.startswith("DAGSTER_POSTGRES_URL must name a schema of its own when PIMS_DATA")
    assert problem.endswith("write ?schema=dagster at its end")
    settings = loaded(
        monkeypatch, DAGSTER_POSTGRES_URL=f"{address}?schema=dagster", PIMS_DATABASE_SCHEMA="pims"
    )
    assert str(settings.dagster_url()).endswith("options=-csearch_path%3Ddagster")
