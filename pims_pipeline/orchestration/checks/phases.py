"""The asset checks: proof, after every materialization, that what was stored is right.

A check looks at the partitions of its run and at the database, never at what an asset
returned, and names what it found by slug, window and id. CheckInput are windows of a clinic,
as the phases work on them.

Blocking checks fail the run. Those of ``appointments`` also keep the later phases of the
same run from the partitions they found wrong, through the run's ledger; the run's other
clinics go on (see ``assets``). A warning does neither.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.dagster_names import partition_key
from pims_pipeline.domain.clinics import Clinic, DateRange, windows_of
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.assets.catalog import RUNBOOK, documents, what_to_do
from pims_pipeline.orchestration.assets.materializations import table
from pims_pipeline.orchestration.partitions import selected_days
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.store.audits import Audit, audits_of_run, latest_audits
from pims_pipeline.store.clinics import all_clinics
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import open_hold_count
from pims_pipeline.store.moments import repaired_before
from pims_pipeline.store.rejections import kept_by
from pims_pipeline.sync.phases.verification import (
    damaged_cases,
    implausible_cases,
    live_cases_deleted,
    mixed_up_cases,
    phase_failures,
    replan_enrichment,
    replan_inbound,
    replan_reconciliation,
    unknown_statuses,
)
from pims_pipeline.sync.runner import RunLedger

MAX_LISTED = 20
"""How many ids or words a finding lists; it counts them all."""

_MAX_WORD = 60
_ERRORED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one window of a clinic.

    Attributes:
        what: A few words, the same for every window that has it.
        items: Ids, or words of the vendor's; never of a person.
        is_warning: Whether it is only worth a look.
    """

    what: str
    items: Sequence[object] = field(default=())
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class CheckInput:
    """A window to be judged, and what it is judged by.

    Attributes:
        audit: Of the phase over this window, of this run where it is there.
        in_this_run: Whether the run did the phase at all.
    """

    engine: Engine
    rules: Rules
    clinic: Clinic
    window: DateRange
    audit: Audit | None
    in_this_run: bool


Judge = Callable[[CheckInput], Iterable[Finding]]


def appointments_idempotent(judged: CheckInput) -> Iterator[Finding]:
    """Landing the stored calendar once more would change nothing."""
    plan = replan_inbound(judged.engine, judged.clinic, judged.window)
    if not plan.is_empty:
        ids = {*(write.pims_id for write in plan.case_writes), *plan.missing}
        ids |= {landing.appointment.appointment_id for landing in plan.landings}
        yield Finding("appointments that would be written again", sorted(ids))


def snapshot_complete(judged: CheckInput) -> Iterator[Finding]:
    """A whole calendar was landed, and every record of it could be read."""
    audit = judged.audit
    if audit is None or audit.status is not AuditStatus.COMPLETED:
        yield Finding("no whole calendar was landed")
    failures = phase_failures(judged.engine, judged.clinic, Phase.INBOUND, judged.window)
    if failures:
        yield Finding("records that could not be read", [f.id for f in failures], is_warning=True)


def known_statuses(judged: CheckInput) -> Iterator[Finding]:
    """Every status of the vendor's has a meaning."""
    if words := unknown_statuses(judged.engine, judged.clinic, judged.window):
        shown = [word[:_MAX_WORD] for word in words]
        yield Finding("statuses without a meaning, taken for drafts", shown, is_warning=True)


def metadata_readable(judged: CheckInput) -> Iterator[Finding]:
    """What the sync keeps in the cases' metadata is as it wrote it, and needed no repair."""
    if cases := damaged_cases(judged.engine, judged.clinic, judged.window, judged.audit):
        shown = _by_partition(judged.clinic, cases)
        yield Finding("cases whose metadata was written over", shown, is_warning=True)


def consultations_idempotent(judged: CheckInput) -> Iterator[Finding]:
    """No consultation that was due when the phase began is still due."""
    if judged.audit is None or judged.audit.status is not AuditStatus.COMPLETED:
        return
    began = judged.audit.created_at
    plan = replan_enrichment(
        judged.engine,
        judged.clinic,
        judged.window,
        now=began,
        policy=judged.rules.enrichment,
    )
    # An appointment that another run landed meanwhile is for the next enrichment.
    due = [case.case_id for case, _ in plan.due if case.landed_at <= began]
    if due:
        yield Finding("cases whose consultation is still due", due)


def patients_match(judged: CheckInput) -> Iterator[Finding]:
    """No case carries the consultation of another patient than its appointment's."""
    if cases := mixed_up_cases(judged.engine, judged.clinic, judged.window, judged.audit):
        shown = _by_partition(judged.clinic, cases)
        yield Finding("cases with another patient's consultation", shown, is_warning=True)


def _by_partition(clinic: Clinic, cases: Iterable[tuple[date, UUID]]) -> list[str]:
    return [f"{partition_key(clinic.slug, day)} {case_id}" for day, case_id in cases]


def vitals_plausible(judged: CheckInput) -> Iterator[Finding]:
    """No case has vitals that no patient can have."""
    if cases := implausible_cases(judged.engine, judged.clinic, judged.window):
        yield Finding("cases with implausible vitals", cases, is_warning=True)


def enrichment_errors(judged: CheckInput) -> Iterator[Finding]:
    """Consultations can be fetched; single failures, which are tried again, only warn."""
    failures = phase_failures(judged.engine, judged.clinic, Phase.CASES, judged.window)
    if failures:
        yield Finding(
            "consultations that could not be fetched", [f.id for f in failures], is_warning=True
        )
    counts = judged.audit.counts if judged.audit else None
    if (
        counts is not None
        and counts.errored >= judged.rules.enrichment.min_fetches_to_fail
        and counts.errored > counts.found * _ERRORED_SHARE
    ):
        yield Finding(f"{counts.errored} of {counts.found} consultations could not be fetched")


def reconciliation_idempotent(judged: CheckInput) -> Iterator[Finding]:
    """Nothing that is known to be gone would still be retired."""
    plan = replan_reconciliation(
        judged.engine, judged.clinic, judged.window, policy=judged.rules.deletion
    )
    # What a hold keeps is the deletion guard's to tell.
    if not plan.is_empty and not plan.hold:
        yield Finding("cases that would still be retired", [each.case.id for each in plan.retire])


def deletion_guard(judged: CheckInput) -> Iterator[Finding]:
    """No deletions wait for a person."""
    if judged.audit is not None and judged.audit.status is AuditStatus.HELD:
        yield Finding("deletions are held; see `pims holds list`", [judged.audit.id])
    elif judged.audit is not None and (kept := _kept_by(judged, judged.audit)):
        yield Finding(
            "missing cases stay, because a hold was rejected; see `pims holds show`",
            [kept],
            is_warning=True,
        )
    elif not judged.in_this_run:
        with transaction(judged.engine) as connection:
            held = open_hold_count(connection, judged.clinic)
        if held:
            yield Finding("deletions of the clinic are held; see `pims holds list`")


def _kept_by(judged: CheckInput, audit: Audit) -> UUID | None:
    with transaction(judged.engine) as connection:
        return kept_by(connection, audit.id)


def moments_in_the_future(judged: CheckInput) -> Iterator[Finding]:
    """No clock that was ahead wrote moments about the clinic; those found are repaired."""
    if judged.audit is None:
        return
    with transaction(judged.engine) as connection:
        rows = repaired_before(connection, judged.audit.id)
    if rows:
        what = "rows that a clock ahead of time wrote, found and repaired when the phase began"
        yield Finding(what, [f"{rows} rows"], is_warning=True)


def no_live_case_deleted(judged: CheckInput) -> Iterator[Finding]:
    """No case is soft-deleted while its appointment stands in the calendar."""
    if cases := live_cases_deleted(judged.engine, judged.clinic, judged.window):
        yield Finding("soft-deleted cases whose appointment stands", cases)


def readable_fields(judged: CheckInput) -> Iterator[Finding]:
    """Every field of the vendor's that describes a record could be read."""
    if judged.audit is not None and judged.audit.oddities:
        shown = [f"{odd.path} ({odd.json_type}): {odd.count}" for odd in judged.audit.oddities]
        yield Finding(
            "fields that were left out: path, JSON type, how often", shown, is_warning=True
        )


CHECKS: Mapping[Phase, list[tuple[Judge, bool]]] = {
    Phase.INBOUND: [
        (appointments_idempotent, True),
        (snapshot_complete, True),
        (known_statuses, False),
        (readable_fields, False),
        (moments_in_the_future, False),
        (metadata_readable, False),
    ],
    Phase.CASES: [
        (consultations_idempotent, True),
        (patients_match, False),
        (vitals_plausible, False),
        (enrichment_errors, True),
        (readable_fields, False),
        (metadata_readable, False),
    ],
    Phase.RECONCILIATION: [
        (reconciliation_idempotent, True),
        (deletion_guard, True),
        (no_live_case_deleted, True),
        (readable_fields, False),
    ],
}
"""By phase, the checks of its asset, each with whether it is blocking."""

DAILY_CHECKS: list[tuple[Phase, Judge]] = [
    (Phase.INBOUND, appointments_idempotent),
    (Phase.CASES, consultations_idempotent),
    (Phase.RECONCILIATION, reconciliation_idempotent),
    (Phase.RECONCILIATION, no_live_case_deleted),
]
"""What is judged once more every day: see ``maintenance``. None of it asks a vendor."""


def build_checks() -> list[dg.AssetChecksDefinition]:
    """The checks of ``CHECKS``."""
    return [_checks_of(phase, checks) for phase, checks in CHECKS.items()]


def _checks_of(phase: Phase, checks: Sequence[tuple[Judge, bool]]) -> dg.AssetChecksDefinition:
    """An asset's checks as one step of a run: each step costs Dagster's records and look-ups."""

    @dg.multi_asset_check(
        name=f"{phase.names.asset}_checks",
        specs=[
            dg.AssetCheckSpec(
                judge.__name__,
                asset=phase.names.asset,
                description=f"{judge.__doc__} {what_to_do(judge.__name__)}",
                blocking=blocking,
                metadata=documents(f"{RUNBOOK}#{judge.__name__}"),
            )
            for judge, blocking in checks
        ],
        can_subset=True,
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        store: dg.ResourceParam[Engine],
        rules: dg.ResourceParam[Rules],
        ledger: dg.ResourceParam[RunLedger],
    ) -> Iterator[dg.AssetCheckResult]:
        windows = list(_windows(context, store, rules, phase, ledger))
        selected = {key.name for key in context.selected_asset_check_keys}
        for judge, blocking in checks:
            name = judge.__name__
            if name not in selected:
                continue
            findings = [(judged, finding) for judged in windows for finding in judge(judged)]
            errors = [judged for judged, finding in findings if not finding.is_warning]
            if phase is Phase.INBOUND and blocking:
                for judged in errors:
                    ledger.bar(judged.clinic.slug, list(judged.window), f"the check {name} failed")
            yield _result(name, windows, findings, failed=bool(errors))

    return check


def _windows(
    context: dg.AssetCheckExecutionContext,
    engine: Engine,
    rules: Rules,
    sync_type: Phase,
    ledger: RunLedger,
) -> Iterator[CheckInput]:
    """The run's windows whose partitions the phase got to, as far as their clinic is known."""
    with transaction(engine) as connection:
        clinics = {clinic.slug: clinic for clinic in all_clinics(connection)}
        audits = [
            audit
            for audit in audits_of_run(connection, context.run.run_id)
            if audit.sync_type is sync_type
        ]
    for slug, days in selected_days(context.partition_keys).items():
        # An unknown clinic has failed in the asset already.
        if (clinic := clinics.get(slug)) is None:
            continue
        looked_at = [
            day for day in days if sync_type is Phase.INBOUND or not ledger.reason(slug, day)
        ]
        for window in windows_of(looked_at):
            if not audits:
                yield judge_alone(engine, rules, clinic, sync_type, window)
                continue
            of_run = [a for a in audits if a.clinic_id == clinic.id and a.window.covers(window)]
            audit = of_run[-1] if of_run else None
            yield CheckInput(engine, rules, clinic, window, audit, in_this_run=True)


def judge_alone(
    engine: Engine, rules: Rules, clinic: Clinic, sync_type: Phase, window: DateRange
) -> CheckInput:
    """The window as a check judges it that runs by itself, without the phase."""
    audit = _latest(engine, clinic, sync_type, window)
    return CheckInput(engine, rules, clinic, window, audit, in_this_run=False)


def _latest(engine: Engine, clinic: Clinic, sync_type: Phase, window: DateRange) -> Audit | None:
    """The phase's last audit, if it was over the window."""
    with transaction(engine) as connection:
        latest = latest_audits(connection, clinic.id)
    return next(
        (each for each in latest if each.sync_type is sync_type and each.window.covers(window)),
        None,
    )


def _result(
    name: str,
    windows: Sequence[CheckInput],
    findings: Sequence[tuple[CheckInput, Finding]],
    *,
    failed: bool,
) -> dg.AssetCheckResult:
    rows = [
        {
            "clinic": judged.clinic.slug,
            "window": str(judged.window),
            "finding": finding.what,
            "number": str(len(finding.items)),
            "items": ", ".join(str(item) for item in finding.items[:MAX_LISTED]),
        }
        for judged, finding in findings
    ]
    return dg.AssetCheckResult(
        check_name=name,
        passed=not findings,
        severity=dg.AssetCheckSeverity.ERROR if failed else dg.AssetCheckSeverity.WARN,
        metadata={
            "windows": dg.MetadataValue.int(len(windows)),
            "partitions": dg.MetadataValue.int(sum(len(judged.window) for judged in windows)),
            "partitions_with_findings": dg.MetadataValue.int(
                len(
                    {
                        partition_key(judged.clinic.slug, day)
                        for judged, _ in findings
                        for day in judged.window
                    }
                )
            ),
            **({"findings": table(rows)} if rows else {}),
        },
    )
