"""What a check finds in a window of a clinic that the test has synced."""

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.orchestration.checks.findings import CheckInput, Finding
from pims_pipeline.orchestration.checks.phases import CHECKS
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.sync.phases.verification import last_audits
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment, days

WINDOW = days(-3, 0)


def findings_of(
    deployment: DagsterDeployment,
    name: str,
    run_id: str,
    window: DateRange = WINDOW,
    *,
    phase: Phase | None = None,
) -> list[Finding]:
    """Return what a check finds in a window of alder after a run.

    Two phases may have a check of one name; without ``phase``, this is the first one's.
    """
    phase, checks = next(
        (each, found)
        for each, found in CHECKS.items()
        if name in {check.__name__ for check, _ in found} and phase in {None, each}
    )
    (check,) = (each for each, _ in checks if each.__name__ == name)
    return list(check(checked_window(deployment, phase, run_id, window)))


def checked_window(
    deployment: DagsterDeployment, phase: Phase, run_id: str, window: DateRange = WINDOW
) -> CheckInput:
    """What the checks of a phase get of a window of alder after a run."""
    audits = last_audits(deployment.engine, run_id, phase)
    return CheckInput(
        deployment.engine,
        Rules(EnrichmentPolicy(), DeletionPolicy()),
        deployment.clinics["alder"],
        window,
        audits[-1] if audits else None,
        bool(audits),
    )


def appointment(day: int) -> str:
    """Return the id of alder's appointment on a day counted from today."""
    return f"alder-{days(day, day).start}"
