"""The asset ``daily_report``: what a day was like, as tables and a picture in its metadata.

Clinics by slug, and counts; nothing about people. The phases' own reports of a run are
another thing (``reports``); what is read stands in ``pims_pipeline.store.queries.daily_report``.
"""

import base64
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from io import BytesIO
from typing import TYPE_CHECKING

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.domain.phases import PHASE_OF_ASSET, Phase
from pims_pipeline.domain.records.cases import CaseStatus
from pims_pipeline.orchestration.assets.catalog import ARCHITECTURE, OPERATIONS, OWNERS, documents
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.daily_report import ClinicDay, Day, report_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame, Series

DAILY_REPORT = "daily_report"

MAX_ROWS = 60
"""Clinics and phases that a table lists; those that need a look come first."""

MAX_BARS = 25
"""Clinics that the picture shows; those with the most cases."""

_FEW_BARS = 5
_STATUSES = {
    CaseStatus.DRAFT: "#9aa5b1",
    CaseStatus.ONGOING: "#3b82c4",
    CaseStatus.COMPLETED: "#2f9e63",
    CaseStatus.REVIEWED: "#8a63c7",
}
_ENDINGS = {
    "completed": "#2f9e63",
    "held": "#e0a030",
    "interrupted": "#9aa5b1",
    "failed": "#c9463d",
}


def report_days(start: date) -> dg.DailyPartitionsDefinition:
    """The dates that there are reports of: from ``start`` to today, in UTC."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=1)


def build_daily_report(start: date) -> dg.AssetsDefinition:
    """The asset ``daily_report``, from ``start`` on."""
    with warnings.catch_warnings():
        # A single run per backfill is beta in Dagster, and says so.
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
    """The report, and its totals as numbers that the pages plot over time."""
    numbers = {
        "syncs": sum(each.syncs for each in day.phases),
        "completed": sum(each.completed for each in day.phases),
        "failed": sum(each.failed for each in day.phases),
        "held": sum(each.held for each in day.phases),
        "interrupted": sum(each.interrupted for each in day.phases),
        "cases": sum(map(_cases, day.clinics)),
        "retired": sum(each.deleted for each in day.phases),
        "holds_open": sum(each.holds_open for each in day.clinics),
        "open_failures": sum(each.failures_open for each in day.clinics),
        "clinics": len(day.clinics),
        "clinics_synced": len({each.clinic for each in day.phases}),
    }
    seconds = round(float(sum(each.seconds for each in day.phases)), 1)
    return {
        "report": dg.MetadataValue.md(markdown(day)),
        **{name: dg.MetadataValue.int(number) for name, number in numbers.items()},
        "seconds": dg.MetadataValue.float(seconds),
    }


def markdown(day: Day) -> str:
    """The report as people read it."""
    parts = [f"# {day.date}", "Syncs by UTC's day, cases by each clinic's own."]
    if day.phases:
        parts += ["## Syncs by phase", _phase_table(day)]
        parts += ["## Syncs by clinic", _clinic_phase_table(day)]
    else:
        parts.append("Nothing was synced.")
    told = [each for each in day.clinics if _is_worth_telling(each)]
    if told:
        parts += ["## Cases, holds and failures", _clinic_table(told)]
    else:
        parts.append("No clinic has cases on this date, and nothing waits for a person.")
    if picture := _picture(day):
        data = base64.b64encode(picture).decode()
        parts.insert(2, f"![syncs and cases](data:image/png;base64,{data})")
    return "\n\n".join(parts)


def _cases(clinic: ClinicDay) -> int:
    return clinic.draft + clinic.ongoing + clinic.completed + clinic.reviewed


def _is_worth_telling(clinic: ClinicDay) -> bool:
    waiting = clinic.holds_opened + clinic.holds_open + clinic.failures_new + clinic.failures_open
    return bool(_cases(clinic) + clinic.retired + waiting)


def _frame(rows: Sequence[object]) -> "DataFrame":
    from pandas import DataFrame  # noqa: PLC0415 - costs seconds, and few runs need it

    return DataFrame([asdict(row) for row in rows])  # type: ignore[call-overload]


_ALWAYS = ["syncs", "completed", "failed", "held", "interrupted"]
_WHERE_ANY = [
    "in_progress",
    "created",
    "updated",
    "restored",
    "deleted",
    "enriched",
    "errored",
    "quarantined",
]


def _columns(frame: "DataFrame") -> list[str]:
    """The numbers that are shown; most of them only where there are any."""
    return [*_ALWAYS, *(name for name in _WHERE_ANY if frame[name].any())]


def _phase_table(day: Day) -> str:
    """All clinics together, by phase."""
    frame = _frame(day.phases)
    by_phase = frame.groupby("phase", sort=False)
    told = by_phase[_columns(frame)].sum()
    told.insert(0, "clinics", by_phase["clinic"].nunique())
    told["mean s"] = (by_phase["seconds"].sum() / told["syncs"]).round(2)
    told["longest s"] = by_phase["longest_seconds"].max().round(2)
    order = [phase.value for phase in Phase if phase.value in told.index]
    return told.loc[order].to_markdown()


def _clinic_phase_table(day: Day) -> str:
    """Clinic by clinic; those that did not end well first, when there are too many."""
    frame = _frame(day.phases)
    frame["mean s"] = (frame["seconds"] / frame["syncs"]).round(2)
    frame["longest s"] = frame["longest_seconds"].round(2)
    columns = ["clinic", "phase", *_columns(frame), "mean s", "longest s"]
    trouble = frame[["failed", "held", "interrupted", "errored", "quarantined"]].sum(axis=1)
    return _listed(frame[columns], trouble)


def _clinic_table(clinics: Sequence[ClinicDay]) -> str:
    frame = _frame(clinics)
    waiting = frame[["holds_opened", "holds_open", "failures_new", "failures_open"]].sum(axis=1)
    frame.columns = frame.columns.str.replace("_", " ")
    return _listed(frame, waiting)


def _listed(frame: "DataFrame", trouble: "Series[int]") -> str:
    """A table of the first rows, and how many are left out."""
    if len(frame) <= MAX_ROWS:
        return frame.to_markdown(index=False)
    first = frame.loc[trouble.sort_values(ascending=False, kind="stable").index[:MAX_ROWS]]
    left = len(frame) - MAX_ROWS
    return f"{first.to_markdown(index=False)}\n\n{left} rows with less to look at are left out."


def _picture(day: Day) -> bytes | None:
    """Syncs by phase and cases by clinic, as PNG; None when there are neither."""
    clinics = sorted(filter(_cases, day.clinics), key=_cases, reverse=True)[:MAX_BARS]
    if not (clinics or day.phases):
        return None
    from matplotlib.figure import Figure  # noqa: PLC0415 - costs seconds, and few runs need it

    figure = Figure(
        figsize=(10, 2 + 0.22 * max(len(clinics), _FEW_BARS)), dpi=80, layout="constrained"
    )
    syncs, cases = figure.subplots(1, 2)
    _draw_syncs(syncs, day)
    _draw_cases(cases, clinics)
    written = BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def _draw_syncs(axes: "Axes", day: Day) -> None:
    phases = [phase.value for phase in Phase]
    before = [0] * len(phases)
    for ending, colour in _ENDINGS.items():
        numbers = [
            sum(getattr(each, ending) for each in day.phases if each.phase == phase)
            for phase in phases
        ]
        axes.bar(phases, numbers, bottom=before, color=colour, label=ending)
        before = [done + number for done, number in zip(before, numbers, strict=True)]
    axes.locator_params(axis="y", integer=True)
    _finish(axes, "Syncs")


def _draw_cases(axes: "Axes", clinics: Sequence[ClinicDay]) -> None:
    # The first one on top.
    slugs = [each.clinic for each in reversed(clinics)]
    before = [0] * len(slugs)
    for status, colour in _STATUSES.items():
        numbers = [getattr(each, status.value) for each in reversed(clinics)]
        axes.barh(slugs, numbers, left=before, color=colour, label=status.value)
        before = [done + number for done, number in zip(before, numbers, strict=True)]
    axes.set_ylim(-0.6, max(len(slugs), _FEW_BARS) - 0.4)
    axes.locator_params(axis="x", integer=True)
    _finish(axes, "Cases by status")


def _finish(axes: "Axes", title: str) -> None:
    axes.set_title(title)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            fontsize="small", frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.1)
        )


_DESCRIPTION = """\
What a day was like: syncs with their endings and durations by clinic and phase, cases by status,
what was retired, holds and failures; as tables and a picture in the metadata entry `report`.

**From** the audits and the tables; no vendor is asked. Clinics are named by slug; people are not.

**A partition** is a date: UTC's for syncs, each clinic's own for its cases. It is made right after
the date has ended in UTC; made by hand, it tells of the day so far.

**When it fails**, nothing is lost: materialize the partition again."""
