"""The charts of the daily report: syncs by phase, cases by clinic."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from pims_pipeline.domain.errors import needing_extra
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.words import CaseStatus
from pims_pipeline.store.queries.daily_report import ClinicDay, Day

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_BARS = 25
"""Clinics that the chart shows; those with most cases."""

_FEW_BARS = 5
_CASE_STATUSES = {
    CaseStatus.DRAFT: "#9aa5b1",
    CaseStatus.ONGOING: "#3b82c4",
    CaseStatus.COMPLETED: "#2f9e63",
    CaseStatus.REVIEWED: "#8a63c7",
}
_SYNC_STATUSES = {
    "completed": "#2f9e63",
    "held": "#e0a030",
    "interrupted": "#9aa5b1",
    "failed": "#c9463d",
}


def cases_of(clinic: ClinicDay) -> int:
    """Return how many cases the clinic has on the day."""
    return clinic.draft + clinic.ongoing + clinic.completed + clinic.reviewed


def charts(day: Day) -> bytes | None:
    """Draw syncs by phase and cases by clinic, as PNG; None if there are neither.

    Raises:
        ExtraNotInstalled: If matplotlib is not installed.
    """
    clinics = sorted(filter(cases_of, day.clinics), key=cases_of, reverse=True)[:MAX_BARS]
    if not (clinics or day.phases):
        return None
    with needing_extra("reports", "A chart"):
        from matplotlib.figure import Figure  # noqa: PLC0415 - costs seconds, and few runs need it

    figure = Figure(
        figsize=(10, 2 + 0.22 * max(len(clinics), _FEW_BARS)), dpi=80, layout="constrained"
    )
    syncs, cases = figure.subplots(1, 2)
    _draw_syncs(syncs, day)
    _draw_cases(cases, clinics)
    image = BytesIO()
    figure.savefig(image, format="png")
    return image.getvalue()


def _draw_syncs(axes: "Axes", day: Day) -> None:
    phases = [phase.value for phase in Phase]
    before = [0] * len(phases)
    for status, colour in _SYNC_STATUSES.items():
        numbers = [
            sum(getattr(each, status) for each in day.phases if each.phase == phase)
            for phase in phases
        ]
        axes.bar(phases, numbers, bottom=before, color=colour, label=status)
        before = [done + number for done, number in zip(before, numbers, strict=True)]
    axes.locator_params(axis="y", integer=True)
    _finish(axes, "Syncs")


def _draw_cases(axes: "Axes", clinics: Sequence[ClinicDay]) -> None:
    # The clinic with most cases on top.
    slugs = [each.clinic for each in reversed(clinics)]
    before = [0] * len(slugs)
    for status, colour in _CASE_STATUSES.items():
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
