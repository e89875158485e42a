"""The asset ``application_cases``: the application's cases of clinics in mode ``live``.

It runs after the phases in each job of ``jobs``. For clinics that are not live it does nothing and
materializes nothing, at the cost of one statement; so it is no phase, and has no command, route or
schedule of its own. What is written is decided and done in ``adoption/application``.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from pims_pipeline.adoption.application import (
    ApplicationReport,
    live_clinics,
    replan_application,
    write_application,
)
from pims_pipeline.dagster_names import partition_key
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import PHASE_OF_ASSET
from pims_pipeline.observability.logging import bound_context, get_logger
from pims_pipeline.orchestration.assets.catalog import (
    OWNERS,
    RUNBOOK,
    SYNC,
    documents,
    what_to_do,
    written_tables,
)
from pims_pipeline.orchestration.assets.materializations import table
from pims_pipeline.orchestration.partitions import selected_days
from pims_pipeline.orchestration.resources import VendorAccess
from pims_pipeline.sync.runner import RunLedger

APPLICATION_CASES = "application_cases"
IDEMPOTENT = "application_idempotent"
MAX_LISTED = 20
log = get_logger(__name__)

_DESCRIPTION = """\
Writes the cases of clinics that were switched from a v4.0 installation into its application's
tables: new rows, times, names, the vendor's words, consultations and retirements.

**From** our cases of the dates, and others that changed since they were written. Only columns and
keys that the v4.0 service owned are written, and only where people have not changed them.

**A partition** is one business date of one clinic, in its time zone. It is materialized for live
clinics alone.

**When it fails**, nothing was written for the clinic that it names. The next sync writes what is
missing. See "application_cases" in docs/runbook.md."""

_CHECK = (
    "Writing the same cases again must write nothing: fails if a second plan of a live clinic's "
    "dates is not empty."
)


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why a clinic was not written: the error's class, and a message without personal data."""

    slug: str
    error: str
    message: str


def build_application_cases(partitions: dg.MultiPartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset, with its check, over the partitions of the phases."""
    with warnings.catch_warnings():
        # Dagster warns for each asset that a single run per backfill is beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        policy = dg.BackfillPolicy.single_run()

    @dg.multi_asset(
        name=APPLICATION_CASES,
        specs=[_spec(partitions)],
        check_specs=[
            dg.AssetCheckSpec(
                IDEMPOTENT,
                asset=APPLICATION_CASES,
                description=f"{_CHECK} {what_to_do(IDEMPOTENT)}",
                blocking=True,
                metadata=documents(f"{RUNBOOK}#{IDEMPOTENT}"),
            )
        ],
        # Nothing is materialized or checked for clinics that are not live.
        can_subset=True,
        backfill_policy=policy,
    )
    def application_cases(
        context: dg.AssetExecutionContext,
        provider: dg.ResourceParam[VendorAccess],
        ledger: dg.ResourceParam[RunLedger],
    ) -> Iterator[dg.AssetCheckResult]:
        days = _days_to_write(context, provider, ledger)
        if not days:
            return
        failed = [each for slug in days if (each := _write(context, provider, slug, days[slug]))]
        if failed:
            raise _failure(failed, len(days))
        yield _checked(provider, days)

    return application_cases


def _spec(partitions: dg.MultiPartitionsDefinition) -> dg.AssetSpec:
    return dg.AssetSpec(
        APPLICATION_CASES,
        deps=list(PHASE_OF_ASSET),
        description=_DESCRIPTION,
        partitions_def=partitions,
        group_name=SYNC,
        owners=OWNERS,
        kinds={"python", "postgres"},
        skippable=True,
        metadata={
            **written_tables("application_writes"),
            **documents(f"{RUNBOOK}#application_cases", "docs/adopting.md#what-is-written"),
        },
    )


def _days_to_write(
    context: dg.AssetExecutionContext, provider: VendorAccess, ledger: RunLedger
) -> Mapping[str, Sequence[date]]:
    """The dates of each live clinic whose appointments did not fail in this run."""
    selection = selected_days(context.partition_keys)
    live = live_clinics(provider.context.engine, list(selection))
    days = {
        slug: [day for day in selection[slug] if ledger.reason(slug, day) is None]
        for slug in selection
        if slug in live
    }
    return {slug: wanted for slug, wanted in days.items() if wanted}


def _write(
    context: dg.AssetExecutionContext, provider: VendorAccess, slug: str, days: Sequence[date]
) -> _Failed | None:
    """Write one clinic and report its partitions; returns why it failed, if it did."""
    run = provider.context
    try:
        run.stop.check()
        with bound_context(clinic=slug, phase=APPLICATION_CASES, run_id=run.run_id):
            report = write_application(run, slug, days)
    except Exception as error:  # noqa: BLE001 - recorded; must not stop other clinics
        name = type(error).__name__
        log.warning("application_not_written", clinic=slug, error_class=name)
        is_ours = isinstance(error, UserFacingError)
        return _Failed(slug, name, str(error) if is_ours else f"unexpected {name}")
    if report is not None:
        context.log.info("%s: %s rows of the application written", slug, report.total)
        for key, metadata in _partitions(slug, days, report):
            context.log_event(
                dg.AssetMaterialization(APPLICATION_CASES, partition=key, metadata=metadata)
            )
    return None


def _partitions(
    slug: str, days: Sequence[date], report: ApplicationReport
) -> Iterator[tuple[str, dict[str, dg.MetadataValue]]]:
    left_out = {
        f"window_{why.value}": dg.MetadataValue.json([str(each) for each in ids[:MAX_LISTED]])
        for why, ids in report.left_out.items()
    }
    for day in days:
        written = report.written.get(day, {})
        counts = {kind: dg.MetadataValue.int(number) for kind, number in written.items()}
        yield partition_key(slug, day), {**counts, **left_out}


def _failure(failed: Sequence[_Failed], clinics: int) -> dg.Failure:
    messages = "; ".join(f"{each.slug}: {each.message}" for each in failed)
    return dg.Failure(
        f"{APPLICATION_CASES} failed for {len(failed)} of {clinics} clinics: {messages}",
        metadata={
            "failed": table(
                {"clinic": each.slug, "error": each.error, "message": each.message}
                for each in failed
            )
        },
        # The transactions were retried already; the next sync writes what is missing.
        allow_retries=False,
    )


def _checked(provider: VendorAccess, days: Mapping[str, Sequence[date]]) -> dg.AssetCheckResult:
    run = provider.context
    found = {
        slug: [str(each) for each in cases]
        for slug, wanted in days.items()
        if (cases := replan_application(run.engine, slug, wanted))
    }
    rows = [
        {"clinic": slug, "number": str(len(ids)), "cases": ", ".join(ids[:MAX_LISTED])}
        for slug, ids in found.items()
    ]
    return dg.AssetCheckResult(
        passed=not found,
        asset_key=APPLICATION_CASES,
        check_name=IDEMPOTENT,
        metadata={
            "clinics": dg.MetadataValue.int(len(days)),
            **({"findings": table(rows)} if rows else {}),
        },
    )
