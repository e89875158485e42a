"""The bodies of requests, as pydantic models. The models of responses are in ``wire``."""

import re
from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from pims_pipeline.api.syncs.spec import SyncSpec
from pims_pipeline.domain.phases import Scope

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
    Field(ge=0, le=90, description="Number of dates after today to sync, if `endDate` is not set."),
    _Whole,
]
_LookbackDays = Annotated[
    int, Field(ge=1, le=90, description="Number of dates before today."), _Whole
]
_BatchSize = Annotated[
    int, Field(ge=1, le=20, description="Number of consultations to fetch in parallel."), _Whole
]


class _Body(BaseModel):
    """The base of request bodies. Types are strict: ``"7"`` is not a number."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)

    def spec(self, scope: Scope) -> SyncSpec:
        """Return what the body requests."""
        options = self.model_dump(by_alias=True)
        first, last = options.pop("startDate", None), options.pop("endDate", None)
        return SyncSpec(scope=scope, first=first, last=last, options=options)


class InboundBody(_Body):
    """The dates to fetch from the calendar: today to `daysAhead` from now, unless dates are set."""

    start_date: _StartDate = None
    end_date: _EndDate = None
    days_ahead: _DaysAhead = 7


class CasesBody(_Body):
    """The appointments to fetch consultations for: the last 46 days, unless dates are set."""

    start_date: _StartDate = None
    end_date: _EndDate = None
    parallel_batch_size: _BatchSize = 5


class ReconcileBody(_Body):
    """The dates to compare with the calendar: `lookbackDays` back, and a week ahead."""

    lookback_days: _LookbackDays = 7


class FullBody(_Body):
    """One window for all three phases: from `lookbackDays` ago, or `startDate` if earlier."""

    start_date: _StartDate = None
    end_date: _EndDate = None
    days_ahead: _DaysAhead = 7
    lookback_days: _LookbackDays = 7
    parallel_batch_size: _BatchSize = 5
