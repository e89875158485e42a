"""The asset ``daily_report``: a day's syncs, cases, holds and failures, in its metadata.

Only slugs and counts, no personal data. ``report_markdown`` and ``report_charts`` draw it up; the
statements are in ``pims_pipeline.store.queries.daily_report``.
"""

import warnings
from datetime import date

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.domain.errors import ExtraNotInstalled
from pims_pipeline.domain.phases import PHASE_OF_ASSET
from pims_pipeline.orchestration.assets.catalog import ARCHITECTURE, OPERATIONS, OWNERS, documents
from pims_pipeline.orchestration.assets.report_charts import cases_of
from pims_pipeline.orchestration.assets.report_markdown import markdown
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.daily_report import Day, report_of

DAILY_REPORT = "daily_report"


def report_days(start: date) -> dg.DailyPartitionsDefinition:
    """Return the partitions of the report: dates from ``start`` to today, in UTC."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=1)


def build_daily_report(start: date) -> dg.AssetsDefinition:
    """Return the asset ``daily_report``, with partitions from ``start`` on."""
    with warnings.catch_warnings():
        # Dagster warns that a single run per backfill is beta.
        warnings.simplefilter("ignore", dg.BetaWarning)

        @dg.asset(
            name=DAILY_REPORT,
            deps=list(PHASE_OF_ASSET),
            description=_DESCRIPTION,
            partitions_def=report_days(start),
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name=OPERATIONS,
            owners=OWNERS,
            kinds={"python", "pandas"},
            metadata=documents(f"{ARCHITECTURE}#what-runs-by-itself"),
        )
        def daily_report(
            context: dg.AssetExecutionContext, store: dg.ResourceParam[Engine]
        ) -> dg.MaterializeResult[None]:
            for key in context.partition_keys:
                with transaction(store) as connection:
                    day = report_of(connection, date.fromisoformat(key))
                context.add_asset_metadata(report_metadata(day), partition_key=key)
            return dg.MaterializeResult()

    return daily_report


def report_metadata(day: Day) -> dict[str, dg.MetadataValue]:
    """Return the report, and its totals as numbers, which the Dagster UI plots over time."""
    numbers = {
        "syncs": sum(each.syncs for each in day.phases),
        "completed": sum(each.completed for each in day.phases),
        "failed": sum(each.failed for each in day.phases),
        "held": sum(each.held for each in day.phases),
        "interrupted": sum(each.interrupted for each in day.phases),
        "cases": sum(map(cases_of, day.clinics)),
        "retired": sum(each.deleted for each in day.phases),
        "holds_open": sum(each.holds_open for each in day.clinics),
        "open_failures": sum(each.failures_open for each in day.clinics),
        "clinics": len(day.clinics),
        "adoption_differences": sum(each.differences for each in day.adopted),
        "contract_changes": sum(len(each.fields) for each in day.contracts),
        "clinics_synced": len({each.clinic for each in day.phases}),
    }
    seconds = round(float(sum(each.seconds for each in day.phases)), 1)
    return {
        "report": dg.MetadataValue.md(_tables_and_charts(day)),
        **{name: dg.MetadataValue.int(number) for name, number in numbers.items()},
        "seconds": dg.MetadataValue.float(seconds),
    }


def _tables_and_charts(day: Day) -> str:
    try:
        return markdown(day)
    except ExtraNotInstalled as error:
        # The numbers beside it need no extra, so the report of the night does not fail.
        return str(error)


_DESCRIPTION = """\
The report of a day: syncs with their results and durations by clinic and phase, cases by status,
retired cases, holds and failures, how adopted clinics compare with v4.0, and which fields of
vendors' responses are new, missing or of another type (the check `vendor_contract`). The metadata
entry `report` shows it as tables and charts.

**From** the audits and tables; requests nothing from vendors. Names clinics by slug, and no person.

**A partition** is a date: of UTC for syncs, of each clinic's time zone for its cases. The schedule
`nightly_report` materializes it after the date has ended in UTC; before that, it shows the day so
far.

**When it fails**, nothing is lost: materialize the partition again."""
