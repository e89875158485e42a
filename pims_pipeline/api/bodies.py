"""The bodies of requests, as pydantic models that check them.

The models of responses are in ``pims_pipeline.wire``.
"""

import re
from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from pims_pipeline.api.syncs.launching import Wanted
from pims_pipeline.domain.phases import Scope

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _plain_date(value: object) -> object:
    """Dates as ``YYYY-MM-DD`` alone: the standard library reads weeks and plain digits too."""
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
    """Ids as UUIDs; what is wrong with others is not worth quoting them."""
    try:
        return UUID(str(value))
    except ValueError:
        raise ValueError("must be a UUID") from None


def _whole_number(value: object) -> object:
    """JSON has one kind of number: ``7.0`` is seven. What is no number stays what it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Id = Annotated[UUID, BeforeValidator(_plain_id)]
"""The id of a sync or a case, in an address."""

_StartDate = Annotated[
    date | None,
    BeforeValidator(_plain_date),
    Field(description="First business date, in the clinic's own calendar."),
]
_EndDate = Annotated[
    date | None,
    BeforeValidator(_plain_date),
    Field(description="Last business date, included; at most 366 dates in all."),
]
_Whole = BeforeValidator(_whole_number)
_DaysAhead = Annotated[
    int,
    Field(ge=0, le=90, description="Dates after today that are synced, without `endDate`."),
    _Whole,
]
_LookbackDays = Annotated[int, Field(ge=1, le=90, description="Dates before today."), _Whole]
_BatchSize = Annotated[
    int, Field(ge=1, le=20, description="Consultations fetched side by side."), _Whole
]


class _Body(BaseModel):
    """What a client asks for. Nothing is taken for what it is not: ``"7"`` is no number."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)

    def wanted(self, scope: Scope) -> Wanted:
        """What is to be synced."""
        asked = self.model_dump(by_alias=True)
        first, last = asked.pop("startDate", None), asked.pop("endDate", None)
        return Wanted(scope=scope, first=first, last=last, options=asked)


class InboundBody(_Body):
    """Which dates of the calendar to bring in: today to `daysAhead` from now, unless named."""

    start_date: _StartDate = None
    end_date: _EndDate = None
    days_ahead: _DaysAhead = 7


class CasesBody(_Body):
    """Whose consultations to fetch: appointments of the last 46 days, unless dates are named."""

    start_date: _StartDate = None
    end_date: _EndDate = None
    parallel_batch_size: _BatchSize = 5


class ReconcileBody(_Body):
    """How far to look for appointments that are gone: so many days back, and a week ahead."""

    lookback_days: _LookbackDays = 7


class FullBody(_Body):
    """One window for all three phases: from `lookbackDays` ago, or `startDate` if earlier."""

    start_date: _StartDate = None
    end_date: _EndDate = None
    days_ahead: _DaysAhead = 7
    lookback_days: _LookbackDays = 7
    parallel_batch_size: _BatchSize = 5
