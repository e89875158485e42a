"""Receipts balance, or are refused."""

from dataclasses import fields
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.outcome import AuditStatus, Counts, PhaseOutcome, UnbalancedReceipt, tally
from pims_pipeline.domain.phases import Phase
from pims_pipeline_tests.domain.strategies import WEEK

FATES = [each.name for each in fields(Counts) if each.name != "found"]
any_counts = st.builds(Counts, **{name: st.integers(0, 9) for name in ("found", *FATES)})


def outcome(by_date: dict[date, Counts], hold_id: UUID | None = None) -> PhaseOutcome:
    return PhaseOutcome(
        sync_type=Phase.INBOUND,
        window=WEEK,
        audit_id=UUID(int=1),
        by_date=by_date,
        duration_ms=1,
        hold_id=hold_id,
    )


@pytest.mark.parametrize("fate", FATES)
def test_a_receipt_balances_when_what_was_found_has_a_fate(fate: str) -> None:
    counts = Counts(**{"found": 2, fate: 2})
    assert outcome({WEEK.start: counts}).counts == counts


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("fated", [1, 3])
def test_an_unbalanced_receipt_is_refused_and_names_its_day(fate: str, fated: int) -> None:
    with pytest.raises(UnbalancedReceipt, match=f"inbound of 2026-03-05: found 2, .* {fated} "):
        outcome({WEEK.start: Counts(**{"found": 2, fate: fated})})


def test_days_that_only_balance_together_are_refused() -> None:
    with pytest.raises(UnbalancedReceipt):
        outcome({WEEK.start: Counts(found=1), WEEK.end: Counts(unchanged=1)})


@given(any_counts, any_counts)
def test_counts_are_added_one_by_one(one: Counts, other: Counts) -> None:
    total = one + other
    for each in fields(Counts):
        wanted = getattr(one, each.name) + getattr(other, each.name)
        assert getattr(total, each.name) == wanted, each.name


@given(any_counts)
def test_everything_but_what_was_found_is_a_fate(counts: Counts) -> None:
    assert counts.accounted_for == sum(getattr(counts, name) for name in FATES)
    assert counts.is_balanced == (counts.found == counts.accounted_for)
    assert all(getattr(counts, name) == n > 0 for name, n in counts.nonzero().items())


def test_the_total_is_the_sum_of_the_days() -> None:
    days = {WEEK.start: Counts(found=2, created=2), WEEK.end: Counts(found=1, restored=1)}
    assert outcome(days).counts == Counts(found=3, created=2, restored=1)
    assert outcome({}).counts == Counts()


def test_fates_are_tallied_by_day() -> None:
    fates = [
        (WEEK.start, "created"),
        (WEEK.end, "held"),
        (WEEK.start, "unchanged"),
        (WEEK.start, "created"),
    ]
    assert tally(fates) == {
        WEEK.start: Counts(found=3, created=2, unchanged=1),
        WEEK.end: Counts(found=1, held=1),
    }
    assert tally([]) == {}


def test_a_phase_that_the_guard_stopped_is_held() -> None:
    assert outcome({}, hold_id=UUID(int=2)).status is AuditStatus.HELD
    assert outcome({}).status is AuditStatus.COMPLETED
