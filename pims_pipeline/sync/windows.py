"""Which business dates a sync covers: by default, as asked for, and at all.

Shared by everything that starts syncs: the command line, the API, the schedules.
"""

from datetime import date, timedelta

from pims_pipeline.domain.clinics import MAX_REQUEST_DAYS, DateRange, last_syncable_date
from pims_pipeline.domain.enrichment import EnrichmentPolicy
from pims_pipeline.domain.phases import PHASES_OF, Scope
from pims_pipeline.domain.schedules import ScheduleConfig


class OutsidePartitions(ValueError):
    """A window holds dates that cannot be synced: no partition exists for them."""


def default_window(
    scope: Scope, today: date, config: ScheduleConfig, *, earliest: date
) -> DateRange:
    """The business dates that a sync covers when none are given.

    Args:
        scope: What is synced.
        today: The clinic's.
        config: How far the clinic's syncs look back and ahead.
        earliest: The first date that can be synced.
    """
    days_back = config.lookback_days
    if scope == "cases":
        # Medical records are corrected for weeks, and asked for again as long.
        days_back = max(days_back, EnrichmentPolicy().days_back)
    ahead = today + timedelta(days=config.days_ahead)
    # No request may name more dates, and both numbers at their largest would.
    furthest = ahead - timedelta(days=MAX_REQUEST_DAYS - 1)
    back = max(today - timedelta(days=days_back), earliest, furthest)
    phases = [phase.names for phase in PHASES_OF[scope]]
    return DateRange(
        back if any(phase.looks_back for phase in phases) else today,
        ahead if any(phase.looks_ahead for phase in phases) else today,
    )


def chosen_window(
    scope: Scope,
    default: DateRange,
    first: date | None,
    last: date | None,
    *,
    names: tuple[str, str] = ("the first date", "the last date"),
) -> DateRange:
    """The business dates to sync, given what was asked for.

    A full sync never starts later than its default, so that its reconciliation looks back.

    Args:
        scope: What is synced.
        default: See ``default_window``.
        first: The first date asked for, if one was.
        last: The last one, likewise.
        names: What whoever asks calls the two.

    Raises:
        ValueError: If the range is turned round or too long.
    """
    start = first or default.start
    if scope == "full":
        start = min(start, default.start)
    end = last or default.end
    if end < start and (first is None or last is None):
        missing = names[0] if first is None else names[1]
        raise ValueError(f"the default range is {default}; give {missing} as well")
    return DateRange(start, end)


def check_window(start: date, window: DateRange, today: date) -> None:
    """Make sure that the window's dates can be synced.

    Args:
        start: The first date that has partitions.
        window: The dates wanted.
        today: In UTC.

    Raises:
        OutsidePartitions: If some cannot.
    """
    last = last_syncable_date(today)
    if not (start <= window.start and window.end <= last):
        raise OutsidePartitions(
            f"{window} reaches beyond the dates that can be synced, {start} to {last}; choose "
            "other dates, or an earlier PIMS_PARTITION_START"
        )
