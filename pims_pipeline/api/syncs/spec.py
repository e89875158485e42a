"""What a client may request, and the window that results. Launching it belongs in ``launching``."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from pims_pipeline.api.errors import ApiError
from pims_pipeline.domain.clinics import Clinic, DateRange, business_date, last_syncable_date
from pims_pipeline.domain.phases import Scope
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.sync.windows import chosen_window, default_window

FLAT_DATES = ("startDate", "endDate")
NESTED_DATES = ("dateRange.start", "dateRange.end")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSpec:
    """What a client requests.

    Attributes:
        scope: The phases to run.
        first: The first business date, if the client sets it.
        last: The last business date, if the client sets it.
        options: The other fields of the body, with their defaults, by the API's names.
        fields: What the client calls the two dates; requests that differ in it alone are equal.
    """

    scope: Scope
    first: date | None = None
    last: date | None = None
    options: Mapping[str, int] = field(default_factory=dict)
    fields: tuple[str, str] = FLAT_DATES

    @property
    def reach(self) -> ScheduleConfig:
        """The number of dates back and ahead; the API's defaults, not the clinic's."""
        defaults = ScheduleConfig()
        return ScheduleConfig(
            days_ahead=self.options.get("daysAhead", defaults.days_ahead),
            lookback_days=self.options.get("lookbackDays", defaults.lookback_days),
        )

    @property
    def digest(self) -> str:
        """SHA-256 of method, path and body, with defaults filled in: equal for equal requests."""
        body = {"startDate": self.first, "endDate": self.last, **self.options}
        text = json.dumps(["POST", f"/api/sync/{self.scope}", body], default=str, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def window_of(spec: SyncSpec, clinic: Clinic, *, now: datetime, start: date) -> DateRange:
    """Return the business dates to sync.

    Args:
        spec: What the client requests.
        clinic: Whose time zone decides what today is.
        now: The present time, aware.
        start: The first business date that can be synced.

    Raises:
        ApiError: 400, naming the field, if they cannot be synced.
    """
    end = last_syncable_date(now.date())
    for name, day in zip(spec.fields, (spec.first, spec.last), strict=True):
        if day is not None and not start <= day <= end:
            raise ApiError(400, f"{name}: must be a date from {start} to {end}")
    today = business_date(now, clinic.zone)
    default = default_window(spec.scope, today, spec.reach, earliest=start)
    try:
        return chosen_window(spec.scope, default, spec.first, spec.last)
    except ValueError as error:
        raise ApiError(400, _date_error(error, default, spec)) from error


def _date_error(error: ValueError, default: DateRange, spec: SyncSpec) -> str:
    """Return what is wrong with the dates, after the name of the field to fix."""
    start, end = spec.fields
    if spec.last is None and spec.first and spec.first > default.end:
        return f"{end}: must be given when {start} is later than {default.end}"
    if spec.first is None and spec.last and spec.last < default.start:
        return f"{start}: must be given when {end} is earlier than {default.start}"
    if spec.first and spec.last and spec.last < spec.first:
        return f"{end}: must not be earlier than {start}"
    return f"{end if spec.last else start}: {error}"
