"""Which windows a check covers: those of its run; without partitions, each clinic's latest."""

from collections.abc import Iterator

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic, DateRange, windows_of
from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.checks.findings import CheckInput
from pims_pipeline.orchestration.partitions import selected_days
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.store.audits import Audit, audits_of_run, latest_audits
from pims_pipeline.store.clinics import active_clinics, all_clinics
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.sync.runner import RunLedger


def checked_windows(
    context: dg.AssetCheckExecutionContext,
    engine: Engine,
    rules: Rules,
    phase: Phase,
    ledger: RunLedger,
) -> Iterator[CheckInput]:
    """Yield the run's windows to check: those that the phase did not have to skip.

    A user who evaluates a check without its asset selects no partitions. It then covers the window
    of each clinic's latest audit.
    """
    if not (context.has_partition_key or context.has_partition_key_range):
        yield from _latest_inputs(engine, rules, phase)
        return
    with transaction(engine) as connection:
        clinics = {clinic.slug: clinic for clinic in all_clinics(connection)}
        audits = [
            audit
            for audit in audits_of_run(connection, context.run.run_id)
            if audit.sync_type is phase
        ]
    for slug, days in selected_days(context.partition_keys).items():
        # The asset has already failed for an unknown clinic.
        if (clinic := clinics.get(slug)) is None:
            continue
        synced = [day for day in days if phase is Phase.INBOUND or not ledger.reason(slug, day)]
        for window in windows_of(synced):
            if not audits:
                yield latest_input(engine, rules, clinic, phase, window)
                continue
            of_run = [a for a in audits if a.clinic_id == clinic.id and a.window.covers(window)]
            audit = of_run[-1] if of_run else None
            yield CheckInput(engine, rules, clinic, window, audit, in_this_run=True)


def _latest_inputs(engine: Engine, rules: Rules, phase: Phase) -> Iterator[CheckInput]:
    with transaction(engine) as connection:
        latest = [
            (clinic, audit)
            for clinic in active_clinics(connection)
            for audit in latest_audits(connection, clinic.id)
            if audit.sync_type is phase
        ]
    for clinic, audit in latest:
        yield CheckInput(engine, rules, clinic, audit.window, audit, in_this_run=False)


def latest_input(
    engine: Engine, rules: Rules, clinic: Clinic, phase: Phase, window: DateRange
) -> CheckInput:
    """Return a window to check without a run of the phase, with its latest audit."""
    audit = _latest(engine, clinic, phase, window)
    return CheckInput(engine, rules, clinic, window, audit, in_this_run=False)


def _latest(engine: Engine, clinic: Clinic, phase: Phase, window: DateRange) -> Audit | None:
    """The phase's latest audit if it covers the window, else None."""
    with transaction(engine) as connection:
        latest = latest_audits(connection, clinic.id)
    return next(
        (each for each in latest if each.sync_type is phase and each.window.covers(window)),
        None,
    )
