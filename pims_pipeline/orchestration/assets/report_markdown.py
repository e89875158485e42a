"""The daily report as Markdown: tables of syncs by phase and clinic, and of cases."""

import base64
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from pims_pipeline.domain.errors import needing_extra
from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.assets.report_charts import cases_of, charts
from pims_pipeline.store.queries.daily_report import ClinicDay, Day

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MAX_ROWS = 60
"""Rows that a table lists; those with problems come first."""
MAX_FIELDS = 10
"""Fields of a vendor's responses that a row lists."""


def markdown(day: Day) -> str:
    """Return the report of a day as Markdown.

    Raises:
        ExtraNotInstalled: If pandas, tabulate or matplotlib is not installed.
    """
    parts = [
        f"# {day.date}",
        "Syncs by day in UTC, cases by day in the clinic's time zone.",
    ]
    if day.phases:
        parts += ["## Syncs by phase", _phase_table(day)]
        parts += ["## Syncs by clinic", _clinic_phase_table(day)]
    else:
        parts.append("Nothing was synced.")
    reported = [each for each in day.clinics if _has_numbers(each)]
    if reported:
        parts += ["## Cases, holds and failures", _clinic_table(reported)]
    else:
        parts.append("No clinic has cases, holds or failures on this date.")
    if day.adopted:
        parts += ["## Adopted clinics compared with v4.0", _adopted_table(day)]
    if day.contracts:
        parts += ["## Changes in vendors' responses (check `vendor_contract`)", _contracts(day)]
    if image := charts(day):
        data = base64.b64encode(image).decode()
        parts.insert(2, f"![syncs and cases](data:image/png;base64,{data})")
    return "\n\n".join(parts)


def _has_numbers(clinic: ClinicDay) -> bool:
    waiting = clinic.holds_opened + clinic.holds_open + clinic.failures_new + clinic.failures_open
    return bool(cases_of(clinic) + clinic.retired + waiting)


def _frame(rows: Sequence[object]) -> "DataFrame":
    with needing_extra("reports", "The daily report"):
        # pandas imports it only when it writes a table. It carries no types.
        import tabulate  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - see above
        from pandas import DataFrame  # noqa: PLC0415 - costs seconds, and few runs need it

    return DataFrame([asdict(row) for row in rows])  # type: ignore[call-overload]


_ALWAYS = ["syncs", "completed", "failed", "held", "interrupted"]
_IF_ANY = [
    "in_progress",
    "created",
    "updated",
    "restored",
    "deleted",
    "enriched",
    "errored",
    "quarantined",
    "left_out",
]


def _columns(frame: "DataFrame") -> list[str]:
    """The columns to show; most of them only if a number is not zero."""
    return [*_ALWAYS, *(name for name in _IF_ANY if frame[name].any())]


def _phase_table(day: Day) -> str:
    """All clinics together, by phase."""
    frame = _frame(day.phases)
    by_phase = frame.groupby("phase", sort=False)
    totals = by_phase[_columns(frame)].sum()
    totals.insert(0, "clinics", by_phase["clinic"].nunique())
    totals["mean s"] = (by_phase["seconds"].sum() / totals["syncs"]).round(2)
    totals["longest s"] = by_phase["longest_seconds"].max().round(2)
    order = [phase.value for phase in Phase if phase.value in totals.index]
    return totals.loc[order].to_markdown()


def _clinic_phase_table(day: Day) -> str:
    """Each phase of each clinic; if there are too many rows, those with problems."""
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


def _adopted_table(day: Day) -> str:
    frame = _frame(day.adopted)
    differing = frame["differences"]
    frame.columns = frame.columns.str.replace("_", " ")
    return _listed(frame, differing)


def _contracts(day: Day) -> str:
    rows = [
        replace(each, fields=tuple(f"`{field}`" for field in each.fields[:MAX_FIELDS]))
        for each in day.contracts
    ]
    frame = _frame(rows)
    frame["fields"] = frame["fields"].str.join("; ")
    return _listed(frame, frame[["new", "missing", "changed"]].sum(axis=1))


def _listed(frame: "DataFrame", trouble: "Series[int]") -> str:
    """A table of at most ``MAX_ROWS`` rows, those with most ``trouble``."""
    if len(frame) <= MAX_ROWS:
        return frame.to_markdown(index=False)
    first = frame.loc[trouble.sort_values(ascending=False, kind="stable").index[:MAX_ROWS]]
    left = len(frame) - MAX_ROWS
    return f"{first.to_markdown(index=False)}\n\n{left} rows with fewer problems are left out."
