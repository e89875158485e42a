"""Parsing cron expressions, and the errors of invalid ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.scheduling.cron import BadCron, parse_cron, parse_schedule


def problem(text: str) -> str:
    with pytest.raises(BadCron) as caught:
        parse_cron(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a cron expression of five fields"),
        ("@daily", "'@daily' is not a cron expression of five fields"),
        ("0 */15 * * * *", "five fields"),
        ("61 * * * *", "its minute is invalid"),
        ("*/0 * * * *", "its minute is invalid"),
        ("* 24 * * *", "its hour is invalid"),
        ("* * 0 * *", "its day of month is invalid"),
        ("0 0 30 2 *", "its day of month is invalid, or never comes"),
        ("0 0 31 4,6,9,11 *", "or never comes"),
        ("* * * 13 *", "its month is invalid"),
        ("* * * * someday", "its day of week is invalid"),
        ("* * * * ²L", "its day of week is invalid"),
        ("1" * 5_000 + " * * * *", "has more than 200 characters"),
        ("9" * 190 + " * * * *", "its minute is invalid"),
    ],
)
def test_the_error_of_an_invalid_expression_names_what_is_wrong(text: str, message: str) -> None:
    assert issubclass(BadCron, UserFacingError)
    assert message in problem(text)
    assert len(problem(text)) < 250


@given(st.text(max_size=60) | st.text("*/-,#LW0123456789 MONJAN", max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_cron_expression_or_refused(text: str) -> None:
    try:
        cron = parse_cron(text)
    except BadCron:
        return
    assert len(cron.text.split()) == 5
    assert parse_cron(cron.text) == cron


@pytest.mark.parametrize("text", ["off", "OFF", " Off "])
def test_off_means_never(text: str) -> None:
    assert parse_schedule(text) is None


def test_case_and_spaces_make_no_difference() -> None:
    assert parse_cron("  */15 9-17   * * mon-fri") == parse_cron("*/15 9-17 * * MON-FRI")
