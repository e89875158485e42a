"""The asset ``maintenance``: runs the parts of ``maintenance_parts``, and reports what they did.

``schedules`` says when it runs.
"""

from collections.abc import Iterator, Sequence

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.orchestration.assets.catalog import (
    OPERATIONS,
    OWNERS,
    RUNBOOK,
    documents,
    what_to_do,
)
from pims_pipeline.orchestration.assets.maintenance_parts import MaintenanceRun, PartFailure
from pims_pipeline.orchestration.assets.materializations import table
from pims_pipeline.orchestration.checks.links import links_of
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.store.database.clock import check_clock

MAINTENANCE = "maintenance"
YESTERDAY_CHECK = "yesterday_holds"
MAX_LISTED = 100
"""How many ids a finding lists; it counts them all."""


def build_maintenance() -> dg.AssetsDefinition:
    """Return the asset ``maintenance``, with its check."""

    @dg.asset(
        name=MAINTENANCE,
        description=_DESCRIPTION,
        group_name=OPERATIONS,
        owners=OWNERS,
        kinds={"python", "postgres"},
        metadata=documents(f"{RUNBOOK}#maintenance"),
        check_specs=[
            dg.AssetCheckSpec(
                YESTERDAY_CHECK,
                asset=MAINTENANCE,
                description=_CHECK_DESCRIPTION,
                metadata=documents(f"{RUNBOOK}#{YESTERDAY_CHECK}"),
            )
        ],
    )
    def maintenance(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[Engine],
        rules: dg.ResourceParam[Rules],
    ) -> Iterator[dg.MaterializeResult[None]]:
        done = MaintenanceRun(store, rules, check_clock(store))
        done.do()
        for name, number in done.counts.items():
            context.log.info("%s: %s", name, number)
        yield dg.MaterializeResult(
            metadata=_metadata(done),
            check_results=[_check_result(done, rules.console)],
        )
        if done.failures:
            raise _failure(done.failures)

    return maintenance


def _metadata(done: MaintenanceRun) -> dict[str, dg.MetadataValue]:
    numbers = {name: dg.MetadataValue.int(number) for name, number in done.counts.items()}
    return {
        **numbers,
        "parts_failed": dg.MetadataValue.int(len(done.failures)),
        "kept_since": dg.MetadataValue.text(done.kept_since.date().isoformat()),
    }


def _check_result(done: MaintenanceRun, console: ConsoleLinks) -> dg.AssetCheckResult:
    rows = [
        {
            "check": name,
            "clinic": checked.clinic.slug,
            "window": str(checked.window),
            "finding": finding.what,
            "number": str(len(finding.items)),
            "items": ", ".join(str(item) for item in finding.items[:MAX_LISTED]),
        }
        for name, checked, finding in done.findings
    ]
    found = [(checked, finding) for _, checked, finding in done.findings]
    return dg.AssetCheckResult(
        check_name=YESTERDAY_CHECK,
        passed=not rows,
        metadata={
            "clinics": dg.MetadataValue.int(done.counts["clinics_checked"]),
            "found": dg.MetadataValue.int(len(rows)),
            **({"findings": table(rows), "console": links_of(found, console)} if rows else {}),
        },
    )


def _failure(failures: Sequence[PartFailure]) -> dg.Failure:
    rows = [
        {
            "part": each.part,
            "clinic": each.clinic,
            "error": each.error_class,
            "message": each.message,
        }
        for each in failures
    ]
    messages = "; ".join(
        " of ".join(filter(None, (each.part, each.clinic))) + f": {each.message}"
        for each in failures
    )
    return dg.Failure(
        f"parts of the maintenance failed, the others were done: {messages}",
        metadata={"failed": table(rows)},
        allow_retries=False,
    )


_DESCRIPTION = """\
The nightly maintenance:

- marks audits of processes that died as `interrupted`;
- deletes expired vendor sessions and idempotency keys;
- deletes landed records, resolved failures, ended alerts and requests older than
  `PIMS_RETENTION_DAYS` (audits and case events are never deleted), and shapes of vendors'
  responses older than that or than 13 weeks;
- checks that planning each active clinic's yesterday again changes nothing;
- compares each adopted clinic with its v4.0 installation, and keeps the counts of the day.

Requests nothing from vendors. **When it fails**, the failed step names the parts that failed; the
others were done. See docs/runbook.md, "Maintenance"."""

_CHECK_DESCRIPTION = (
    "Planning each active clinic's yesterday again, from stored data, changes nothing. "
    f"{what_to_do(YESTERDAY_CHECK)}"
)
