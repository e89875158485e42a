"""The wire's shapes of syncs: request bodies, which are checked by them, and answers.

Answers are built as plain documents (``answers``) and not checked again on their way out; their
shapes here are the OpenAPI document's, and the contract tests hold the two together.
"""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from pims_pipeline.api.launching import Wanted
from pims_pipeline.domain.phases import PhaseName, Scope, SyncType

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
    int, Field(ge=1, le=20, description="Medical records fetched side by side."), _Whole
]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class _Body(_Model):
    """What a client asks for. Nothing is taken for what it is not: ``"7"`` is no number."""

    model_config = ConfigDict(strict=True)

    def wanted(self, scope: Scope) -> Wanted:
        """What is to be synced."""
        asked = self.model_dump(by_alias=True)
        first, last = asked.pop("startDate", None), asked.pop("endDate", None)
        return Wanted(scope=scope, first=first, last=last, options=asked)


class InboundBody(_Body):
    """Which dates of the diary to bring in: today to `daysAhead` from now, unless named."""

    start_date: _StartDate = None
    end_date: _EndDate = None
    days_ahead: _DaysAhead = 7


class CasesBody(_Body):
    """Whose medical records to fetch: visits of the last 46 days, unless dates are named."""

    start_date: _StartDate = None
    end_date: _EndDate = None
    parallel_batch_size: _BatchSize = 5


class ReconcileBody(_Body):
    """How far to look for visits that are gone: so many days back, and a week ahead."""

    lookback_days: _LookbackDays = 7


class FullBody(_Body):
    """One window for all three phases: from `lookbackDays` ago, or `startDate` if earlier."""

    start_date: _StartDate = None
    end_date: _EndDate = None
    days_ahead: _DaysAhead = 7
    lookback_days: _LookbackDays = 7
    parallel_batch_size: _BatchSize = 5


class Links(_Model):
    """Where to look: the sync here, its run in Dagster's pages (null as long as unknown)."""

    self_: Annotated[str, Field(alias="self")]
    run: str | None


class Accepted(_Model):
    """A sync that is being started."""

    success: Literal[True]
    sync_id: UUID
    status: Literal["queued"]
    links: Links
    timestamp: datetime


class Dates(_Model):
    """Business dates, both included."""

    start_date: date
    end_date: date


class _Result(_Model):
    success: bool
    sync_id: Annotated[UUID | None, Field(description="Null of a phase that did not begin.")]
    date_range: Dates
    error: Annotated[str | None, Field(description="Only when it did not succeed.")] = None
    duration_ms: int
    timestamp: Annotated[datetime, Field(description="When it ended.")]


class InboundStats(_Model):
    """What became of the diary's records."""

    appointments_found: int
    cases_created: int
    cases_updated: int
    cases_skipped: int
    cases_restored: int
    quarantined: int


class InboundResult(_Result):
    """What bringing the diary in did."""

    stats: InboundStats


class CasesStats(_Model):
    """What became of the visits whose medical record was due."""

    cases_found: int
    cases_enriched: int
    cases_skipped: int
    cases_errored: int


class CasesResult(_Result):
    """What fetching medical records did."""

    stats: CasesStats


class ReconciliationStats(_Model):
    """What became of the cases that were compared with the diary."""

    cases_checked: int
    cases_deleted: int
    cases_updated: int
    cases_held: int


class ReconciliationResult(_Result):
    """What retiring cases without a visit did. Nothing is physically deleted."""

    stats: ReconciliationStats
    deleted_cases: list[UUID]


class FullResult(_Result):
    """What all three phases did; ``success`` is false when any of them failed."""

    inbound_result: InboundResult
    cases_result: CasesResult
    reconciliation_result: ReconciliationResult


AnyResult = InboundResult | CasesResult | ReconciliationResult | FullResult
Status = Literal["queued", "running", "completed", "failed", "held"]


class Progress(_Model):
    """How far the phase has come that is under way."""

    phase: PhaseName
    items_done: int
    items_total: int


class _Sync(_Model):
    sync_id: UUID
    sync_type: SyncType
    status: Status
    date_range: Dates
    progress: Annotated[Progress | None, Field(description="Only while it runs.")] = None
    error: Annotated[str | None, Field(description="Only when it did not succeed.")] = None
    links: Links
    created_at: datetime


class SyncStatus(_Sync):
    """How a sync stands; ``success`` is false once it has failed or is held."""

    success: bool
    result: Annotated[AnyResult | None, Field(description="Only once it has ended.")] = None
    timestamp: Annotated[datetime, Field(description="When it ended; before that, now.")]


class SyncSummary(_Sync):
    """How a sync in the list stands."""


class SyncList(_Model):
    """The clinic's syncs, newest first, whoever or whatever started them."""

    success: Literal[True]
    syncs: list[SyncSummary]
    next_cursor: Annotated[
        str | None, Field(description="For the next page; null when there is none.")
    ]
    timestamp: datetime


class CredentialAccess(_Model):
    """One decryption of the clinic's secrets, by the run that made the change."""

    purpose: str
    accessed_at: datetime


class Source(_Model):
    """The vendor's record that caused a change."""

    record: Literal["appointment", "consultation"]
    digest: str
    vendor_updated_at: datetime | None


class ProvenanceEvent(_Model):
    """One thing that happened to a case; ``changes`` are ``[before, after]`` by field."""

    seq: int
    kind: Literal[
        "created",
        "updated",
        "rescheduled",
        "status_changed",
        "enriched",
        "soft_deleted",
        "restored",
    ]
    occurred_at: datetime
    occurred_at_local: datetime
    phase: PhaseName
    sync_id: UUID
    run_id: str
    run_url: str
    partition_key: str
    source: Source | None
    changes: dict[str, tuple[Any, Any]]
    credential_accesses: list[CredentialAccess]


class Provenance(_Model):
    """A case, and everything that happened to it, oldest first."""

    id: UUID
    clinic: str
    timezone: str
    provider_type: str | None
    pims_id: str | None
    patient_name: str
    patient_species: str | None
    client_name: str
    client_phone: str | None
    scheduled_date: date
    scheduled_start: datetime | None
    scheduled_end: datetime | None
    status: Literal["draft", "ongoing", "completed", "reviewed"]
    case_type: Literal["checkup", "surgery", "emergency", "follow_up"]
    visibility: str
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    events: list[ProvenanceEvent]
