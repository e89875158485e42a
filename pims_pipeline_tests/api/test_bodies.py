"""The bodies of requests: dates in either form are the same request; limits are inclusive."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pims_pipeline.api.bodies import CasesBody, FullBody, InboundBody, ReconcileBody
from pims_pipeline.api.syncs.spec import FLAT_DATES, NESTED_DATES
from pims_pipeline.domain.phases import Scope

DATED: dict[Scope, type[InboundBody | CasesBody | FullBody]] = {
    "inbound": InboundBody,
    "cases": CasesBody,
    "full": FullBody,
}
DAYS = st.none() | st.dates(date(2025, 1, 1), date(2026, 12, 31))
OPTIONS = {
    "daysAhead": (0, 90),
    "lookbackDays": (1, 180),
    "parallelBatchSize": (1, 50),
}


def text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


@given(st.sampled_from(sorted(DATED)), DAYS, DAYS, st.sets(st.sampled_from(["start", "end"])))
def test_nested_dates_are_the_same_request_as_flat_ones(
    scope: Scope, first: date | None, last: date | None, left_out: set[str]
) -> None:
    body = DATED[scope]
    days = {"start": text(first), "end": text(last)}
    # A missing date and null are the same.
    nested = {name: day for name, day in days.items() if day or name not in left_out}
    one = body.model_validate({"startDate": text(first), "endDate": text(last)}).spec(scope)
    other = body.model_validate({"dateRange": nested}).spec(scope)

    assert (one.first, one.last, one.options) == (other.first, other.last, other.options)
    assert one.digest == other.digest
    assert (one.fields, other.fields) == (FLAT_DATES, NESTED_DATES)
    assert not {"startDate", "endDate", "dateRange"} & one.options.keys()


@pytest.mark.parametrize("body", DATED.values())
@pytest.mark.parametrize("flat", ["startDate", "endDate"])
def test_dates_in_both_forms_are_refused(body: type[InboundBody], flat: str) -> None:
    both = {flat: "2026-03-09", "dateRange": {"start": "2026-03-09", "end": "2026-03-10"}}

    with pytest.raises(ValidationError, match="dateRange: must not be given with"):
        body.model_validate(both)
    body.model_validate({**both, flat: None})
    body.model_validate({**both, "dateRange": None})


@pytest.mark.parametrize(
    "nested",
    [
        *("2026-03-09", [], ["2026-03-09", "2026-03-10"], 7, True),
        *({"start": "2026-3-9"}, {"start": 20260309}, {"from": "2026-03-09"}),
        {"startDate": "2026-03-09"},
    ],
)
def test_a_range_of_another_shape_is_refused(nested: object) -> None:
    with pytest.raises(ValidationError):
        InboundBody.model_validate({"dateRange": nested})


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_no_value_of_a_range_breaks_the_reading(nested: object) -> None:
    try:
        read = InboundBody.model_validate({"dateRange": nested})
    except ValidationError:
        return
    assert read.date_range is None


@pytest.mark.parametrize("option", OPTIONS)
def test_limits_are_inclusive(option: str) -> None:
    least, most = OPTIONS[option]

    for value in (least, most, float(most)):
        assert FullBody.model_validate({option: value}).spec("full").options[option] == value
    beyond: tuple[object, ...] = (least - 1, most + 1, str(least), True, 1.5)
    for wrong in beyond:
        with pytest.raises(ValidationError):
            FullBody.model_validate({option: wrong})


def test_a_reconciliation_takes_no_dates() -> None:
    for field in ("dateRange", "startDate", "endDate"):
        with pytest.raises(ValidationError):
            ReconcileBody.model_validate({field: None})
