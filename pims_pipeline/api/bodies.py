"""The bodies of requests, as pydantic models. The models of responses are in ``wire``."""

import re
from datetime import date
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from pims_pipeline.api.syncs.spec import NESTED_DATES, SyncSpec
from pims_pipeline.domain.clinics import DAYS_AHEAD
from pims_pipeline.domain.phases import Scope
from pims_pipeline.domain.schedules import MAX_BATCH

_MOST_LOOKBACK_DAYS = 180
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _plain_date(value: object) -> object:
    """Accept only ``YYYY-MM-DD``: the standard library also reads weeks and plain digits."""
    problem = "must be a date such as 2026-03-09"
    if value is None:
        return None
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError(problem)
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(problem) from None


def _plain_id(value: object) -> object:
    """Accept only UUIDs; the error does not quote the value."""
    try:
        return UUID(str(value))
    except ValueError:
        raise ValueError("must be a UUID") from None


def _whole_number(value: object) -> object:
    """Accept ``7.0`` as 7: JSON has one kind of number. Other values stay as they are."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Id = Annotated[UUID, BeforeValidator(_plain_id)]
"""The id of a sync or a case, in a path."""

_StartDate = Annotated[
    date | None,
    BeforeValidator(_plain_date),
    Field(description="First business date, in the clinic's time zone."),
]
_EndDate = Annotated[
    date | None,
    BeforeValidator(_plain_date),
    Field(description="Last business date, included; at most 366 dates in total."),
]
_Whole = BeforeValidator(_whole_number)
_DaysAhead = Annotated[
    int,
    Field(
        ge=0,
        le=DAYS_AHEAD,
        description="Number of dates after today to sync, if no last date is set.",
    ),
    _Whole,
]
_LookbackDays = Annotated[
    int, Field(ge=1, le=_MOST_LOOKBACK_DAYS, description="Number of dates before today."), _Whole
]
_BatchSize = Annotated[
    int,
    Field(ge=1, le=MAX_BATCH, description="Number of consultations to fetch in parallel."),
    _Whole,
]


class _Body(BaseModel):
    """The base of request bodies. Types are strict: ``"7"`` is not a number."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)

    def spec(self, scope: Scope) -> SyncSpec:
        """Return what the body requests."""
        return SyncSpec(scope=scope, options=self.model_dump(by_alias=True))


class NestedDates(BaseModel):
    """The dates as clients of the v4.0 service send them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    start: _StartDate = None
    end: _EndDate = None


class _DatedBody(_Body):
    """The base of bodies that may set dates."""

    start_date: _StartDate = None
    end_date: _EndDate = None
    date_range: Annotated[
        NestedDates | None, Field(description="In place of `startDate` and `endDate`.")
    ] = None

    @model_validator(mode="after")
    def _dates_are_given_once(self) -> Self:
        if self.date_range is not None and (self.start_date or self.end_date):
            raise ValueError("dateRange: must not be given with startDate or endDate")
        return self

    def spec(self, scope: Scope) -> SyncSpec:
        """See ``_Body``; nested dates request the same as others."""
        dates = {"start_date", "end_date", "date_range"}
        options = self.model_dump(by_alias=True, exclude=dates)
        nested = self.date_range
        if nested is None:
            return SyncSpec(scope=scope, first=self.start_date, last=self.end_date, options=options)
        return SyncSpec(
            scope=scope, first=nested.start, last=nested.end, options=options, fields=NESTED_DATES
        )


class InboundBody(_DatedBody):
    """The dates to fetch from the calendar: today to `daysAhead` from now, unless dates are set."""

    days_ahead: _DaysAhead = 7


class CasesBody(_DatedBody):
    """The appointments to fetch consultations for: the last 46 days, unless dates are set."""

    parallel_batch_size: _BatchSize = 5


class ReconcileBody(_Body):
    """The dates to compare with the calendar: `lookbackDays` back, and a week ahead."""

    lookback_days: _LookbackDays = 7


class FullBody(_DatedBody):
    """One window for all three phases: from `lookbackDays` ago, or `startDate` if earlier."""

    days_ahead: _DaysAhead = 7
    lookback_days: _LookbackDays = 7
    parallel_batch_size: _BatchSize = 5
