"""The asset checks of the phases: after every materialization, they verify what was stored.

Blocking checks fail the run. Those of ``appointments`` also exclude the clinic's partitions from
the later phases of the run, through the ledger; the run's other clinics go on. Warnings do
neither. ``findings`` has what each check finds, ``windows`` which windows it covers.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.dagster_names import partition_key
from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration._dagster_private import latest_materialization
from pims_pipeline.orchestration.assets.catalog import RUNBOOK, documents, what_to_do
from pims_pipeline.orchestration.assets.materializations import table
from pims_pipeline.orchestration.checks.findings import (
    CheckFunction,
    CheckInput,
    Finding,
    appointments_idempotent,
    consultations_idempotent,
    deletion_guard,
    enrichment_errors,
    known_statuses,
    metadata_readable,
    moments_in_the_future,
    no_live_case_deleted,
    patients_match,
    readable_fields,
    reconciliation_idempotent,
    shadow_agrees,
    snapshot_complete,
    vendor_contract,
    vitals_plausible,
)
from pims_pipeline.orchestration.checks.links import links_of
from pims_pipeline.orchestration.checks.windows import checked_windows
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.sync.runner import RunLedger

MAX_LISTED = 20
"""How many ids or words a finding lists; it counts them all."""

CHECKS: Mapping[Phase, list[tuple[CheckFunction, bool]]] = {
    Phase.INBOUND: [
        (appointments_idempotent, True),
        (snapshot_complete, True),
        (known_statuses, False),
        (readable_fields, False),
        (vendor_contract, False),
        (moments_in_the_future, False),
        (metadata_readable, False),
    ],
    Phase.CASES: [
        (consultations_idempotent, True),
        (patients_match, False),
        (vitals_plausible, False),
        (enrichment_errors, True),
        (readable_fields, False),
        (vendor_contract, False),
        (metadata_readable, False),
    ],
    Phase.RECONCILIATION: [
        (reconciliation_idempotent, True),
        (deletion_guard, True),
        (no_live_case_deleted, True),
        (readable_fields, False),
        (shadow_agrees, False),
    ],
}
"""The checks of each phase's asset, each with whether it is blocking."""

ONCE_A_CLINIC = frozenset({vendor_contract})
"""Checks that find the same for each window of a clinic, and so are done for one of them."""

DAILY_CHECKS: list[tuple[Phase, CheckFunction]] = [
    (Phase.INBOUND, appointments_idempotent),
    (Phase.CASES, consultations_idempotent),
    (Phase.RECONCILIATION, reconciliation_idempotent),
    (Phase.RECONCILIATION, no_live_case_deleted),
]
"""The checks that the maintenance repeats every day for the day before."""


def build_checks() -> list[dg.AssetChecksDefinition]:
    """Return the checks of ``CHECKS``."""
    return [_checks_of(phase, checks) for phase, checks in CHECKS.items()]


def _checks_of(
    phase: Phase, checks: Sequence[tuple[CheckFunction, bool]]
) -> dg.AssetChecksDefinition:
    """All checks of an asset as one step of a run: each step costs Dagster several statements."""
    specs = [
        dg.AssetCheckSpec(
            check.__name__,
            asset=phase.names.asset,
            description=f"{check.__doc__} {what_to_do(check.__name__)}",
            blocking=blocking,
            metadata=documents(f"{RUNBOOK}#{check.__name__}"),
        )
        for check, blocking in checks
    ]

    @dg.multi_asset_check(name=f"{phase.names.asset}_checks", specs=specs, can_subset=True)
    def evaluate(
        context: dg.AssetCheckExecutionContext,
        store: dg.ResourceParam[Engine],
        rules: dg.ResourceParam[Rules],
        ledger: dg.ResourceParam[RunLedger],
    ) -> Iterator[dg.Output[None] | dg.AssetCheckEvaluation]:
        windows = list(checked_windows(context, store, rules, phase, ledger))
        # Dagster would look for it by listing the partitions of all clinics.
        target = latest_materialization(context.instance, phase.names.asset)
        for spec, (check, blocking) in zip(specs, checks, strict=True):
            if spec.key not in context.selected_asset_check_keys:
                continue
            findings = [
                (window, finding)
                for window in _windows_for(check, windows)
                for finding in check(window)
            ]
            wrong = [each for each in findings if not each[1].is_note]
            errors = [window for window, finding in wrong if not finding.is_warning]
            if phase is Phase.INBOUND and blocking:
                for each in errors:
                    days, why = list(each.window), f"the check {spec.name} failed"
                    ledger.exclude(each.clinic.slug, days, why)
            yield dg.Output(None, output_name=spec.get_python_identifier())
            yield dg.AssetCheckEvaluation(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=not wrong,
                severity=dg.AssetCheckSeverity.ERROR if errors else dg.AssetCheckSeverity.WARN,
                metadata=_metadata(windows, findings, rules.console),
                blocking=blocking,
                target_materialization_data=target,
            )

    return evaluate


def _windows_for(check: CheckFunction, windows: Sequence[CheckInput]) -> Sequence[CheckInput]:
    """The windows for which the check is done: of some, one that was synced of each clinic."""
    if check not in ONCE_A_CLINIC:
        return windows
    return list({each.clinic.id: each for each in windows if each.audit is not None}.values())


def _metadata(
    windows: Sequence[CheckInput],
    findings: Sequence[tuple[CheckInput, Finding]],
    console: ConsoleLinks,
) -> dict[str, dg.MetadataValue]:
    rows = [
        {
            "clinic": checked.clinic.slug,
            "window": str(checked.window),
            "finding": finding.what,
            "number": str(len(finding.items)),
            "items": ", ".join(str(item) for item in finding.items[:MAX_LISTED]),
        }
        for checked, finding in findings
    ]
    affected = {
        partition_key(checked.clinic.slug, day)
        for checked, finding in findings
        if not finding.is_note
        for day in checked.window
    }
    metadata: dict[str, dg.MetadataValue] = {
        "windows": dg.MetadataValue.int(len(windows)),
        "partitions": dg.MetadataValue.int(sum(len(checked.window) for checked in windows)),
        "partitions_with_findings": dg.MetadataValue.int(len(affected)),
    }
    if rows:
        metadata["findings"] = table(rows)
        metadata["console"] = links_of(findings, console)
    return metadata
