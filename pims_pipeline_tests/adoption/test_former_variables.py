"""The environment variables of the v4.0 service, read where ours are unset."""

import pytest

from pims_pipeline.composition import warn_of_ignored
from pims_pipeline.settings import variable_names
from pims_pipeline_tests.test_settings import DATABASE, KEY, loaded, problems


@pytest.fixture(autouse=True)
def _no_variable_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in variable_names().values():
        monkeypatch.delenv(variable, raising=False)


def test_a_variable_of_the_v4_service_is_read_while_ours_is_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = loaded(
        monkeypatch, SUPABASE_DB_URL=DATABASE, ENCRYPTION_KEY=KEY, HEADLESS="false", PIMS_HOME="x"
    )

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == DATABASE
    assert settings.browser_headless is False
    assert settings.ignored_variables() == ()
    assert "hunter2" not in repr(settings)


def test_our_variable_takes_precedence_and_the_other_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = loaded(
        monkeypatch,
        PIMS_DATABASE_URL=DATABASE,
        # Ignored, so it need not be an address that we accept.
        SUPABASE_DB_URL="postgresql://other:p@ss@db.example/other",
        ENCRYPTION_KEY=KEY,
        PIMS_BROWSER_HEADLESS="true",
        HEADLESS="no",
    )

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == DATABASE
    assert settings.browser_headless is True
    assert settings.ignored_variables() == ("SUPABASE_DB_URL", "HEADLESS")
    with caplog.at_level("WARNING"):
        warn_of_ignored(settings)
    assert "SUPABASE_DB_URL" in caplog.text
    assert "p@ss" not in caplog.text


@pytest.mark.parametrize("word", ["true", "1", "Yes", "ON"])
def test_equal_values_are_no_difference(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    settings = loaded(
        monkeypatch,
        PIMS_DATABASE_URL=DATABASE,
        SUPABASE_DB_URL=f" {DATABASE} ",
        ENCRYPTION_KEY=KEY,
        PIMS_BROWSER_HEADLESS="true",
        HEADLESS=word,
    )

    assert settings.ignored_variables() == ()


@pytest.mark.parametrize(
    ("variable", "value"), [("SUPABASE_DB_URL", "mysql://x:hunter2@y/z"), ("HEADLESS", "new")]
)
def test_a_wrong_value_of_the_v4_service_s_variable_is_named_by_that(
    variable: str, value: str
) -> None:
    [problem] = problems(**{variable: value, "ENCRYPTION_KEY": KEY})

    assert problem.startswith(f"{variable} must be ")
    assert "hunter2" not in problem


def test_the_v4_service_s_database_needs_a_key_too() -> None:
    [problem] = problems(SUPABASE_DB_URL=DATABASE)

    assert problem.startswith("ENCRYPTION_KEY must be set when SUPABASE_DB_URL is")
