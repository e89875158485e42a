"""Only a scheduled sync of the calendar alone may fetch changes instead of a listing."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from pims_pipeline.dagster_names import API_ORIGIN, ORIGIN_TAG, SCHEDULE_ORIGIN
from pims_pipeline.orchestration.assets import phases
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment, days

SCHEDULED, REQUESTED = {ORIGIN_TAG: SCHEDULE_ORIGIN}, {ORIGIN_TAG: API_ORIGIN}


@pytest.mark.parametrize(
    ("job", "tags", "age"),
    [
        ("inbound_sync", SCHEDULED, timedelta(0)),
        ("inbound_sync", REQUESTED, None),
        ("inbound_sync", {}, None),
        ("full_sync", SCHEDULED, None),
    ],
)
def test_changes_are_for_schedules_of_the_calendar(
    deployment: DagsterDeployment,
    monkeypatch: pytest.MonkeyPatch,
    job: str,
    tags: Mapping[str, str],
    age: timedelta | None,
) -> None:
    """The deployment's age is zero, which is not none."""
    ages: list[timedelta | None] = []

    def noting(context: SyncContext, *of: object, **how: object) -> object:
        ages.append(context.whole_listing_age)
        return sync_appointments(context, *of, **how)  # type: ignore[arg-type]  # as it is called

    monkeypatch.setattr(phases, "sync_appointments", noting)

    assert deployment.sync(job, ["alder"], days(0, 0), tags=tags).success
    assert ages == [age]
