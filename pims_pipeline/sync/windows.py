"""Which business dates a sync covers by default, on request, and at most.

The command line, the API and the schedules use it. Local time belongs in
``pims_pipeline.domain.clinics``.
"""

from datetime import date, timedelta

from pims_pipeline.domain.clinics import MAX_REQUEST_DAYS, DateRange, last_syncable_date
from pims_pipeline.domain.phases import PHASES_OF, Scope
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.schedules import ScheduleConfig


class OutsidePartitions(ValueError):
    """A window holds dates that cannot be synced: no partition exists for them."""


def default_window(
    scope: Scope, today: date, config: ScheduleConfig, *, earliest: date
) -> DateRange:
    """The business dates that a sync covers when none are given.

    Args:
        scope: What is synced.
        today: The clinic's present date.
        config: How far the clinic's syncs look back and ahead.
        earliest: The first date that can be synced.
    """
    days_back = config.lookback_days
    if scope == "cases":
        # Consultations are corrected, and so fetched again, for weeks.
        days_back = max(days_back, EnrichmentPolicy().days_back)
    ahead = today + timedelta(days=config.days_ahead)
    # The largest look-back and look-ahead together exceed the limit of a request.
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
    """The business dates to sync for a request.

    A full sync never starts later than its default, so that its reconciliation looks back.

    Args:
        scope: What is synced.
        default: See ``default_window``.
        first: The first date of the request; None for the default.
        last: The last date of the request; None for the default.
        names: The caller's names of the two dates, for the error message.

    Raises:
        ValueError: If the range ends before it starts, or is too long.
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
    """Check that the window's dates can be synced.

    Args:
        start: The first date that has partitions.
        window: The requested dates.
        today: The present date in UTC.

    Raises:
        OutsidePartitions: If some of them cannot be synced.
    """
    last = last_syncable_date(today)
    if not (start <= window.start and window.end <= last):
        raise OutsidePartitions(
            f"{window} reaches beyond the dates that can be synced, {start} to {last}; choose "
            "other dates, or an earlier PIMS_PARTITION_START"
        )
