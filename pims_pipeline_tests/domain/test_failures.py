"""Which failures are tried again by themselves."""

import pytest

from pims_pipeline.domain.failures import FailureStatus, failure_status
from pims_pipeline.domain.phases import Phase


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("has_retry", [True, False])
def test_a_record_that_succeeded_is_resolved(phase: Phase, has_retry: bool) -> None:  # noqa: FBT001 - a case of the test
    status = failure_status(phase, is_resolved=True, has_retry=has_retry)

    assert status is FailureStatus.RESOLVED


def test_a_consultation_with_no_retry_is_dead() -> None:
    status = failure_status(Phase.CASES, is_resolved=False, has_retry=False)

    assert status is FailureStatus.DEAD


def test_a_consultation_with_a_retry_is_open() -> None:
    assert failure_status(Phase.CASES, is_resolved=False, has_retry=True) is FailureStatus.OPEN


@pytest.mark.parametrize("phase", [Phase.INBOUND, Phase.RECONCILIATION])
def test_what_is_read_again_with_its_date_is_never_dead(phase: Phase) -> None:
    assert failure_status(phase, is_resolved=False, has_retry=False) is FailureStatus.OPEN
