"""A sync as it is accepted, looked up and listed. What it did is in ``results``."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from pims_pipeline.domain.phases import PhaseName, SyncType
from pims_pipeline.wire.results import AnyResult, Dates
from pims_pipeline.wire.shape import Model, Moment, left_out_if_none

Status = Literal["queued", "running", "completed", "failed", "held"]


class Links(Model):
    """Where to look: the sync here, its run in the Dagster UI (null as long as unknown)."""

    self_: Annotated[str, Field(alias="self")]
    run: str | None


class Accepted(Model):
    """A sync that is being started."""

    success: Literal[True]
    sync_id: UUID
    status: Literal["queued"]
    links: Links
    timestamp: Moment


class Progress(Model):
    """How far the phase has come that is under way."""

    phase: PhaseName
    items_done: int
    items_total: int


class _Sync(Model):
    sync_id: UUID
    sync_type: SyncType
    status: Status
    date_range: Dates
    progress: Annotated[Progress | None, left_out_if_none("Only while it runs.")] = None
    error: Annotated[str | None, left_out_if_none("Only when it did not succeed.")] = None
    links: Links
    created_at: Moment


class SyncStatus(_Sync):
    """How a sync stands; ``success`` is false once it has failed or is held."""

    success: bool
    result: Annotated[AnyResult | None, left_out_if_none("Only once it has ended.")] = None
    timestamp: Annotated[Moment, Field(description="When it ended; before that, now.")]


class SyncSummary(_Sync):
    """How a sync in the list stands."""


class SyncList(Model):
    """The clinic's syncs, newest first, whoever or whatever started them."""

    success: Literal[True]
    syncs: list[SyncSummary]
    next_cursor: Annotated[
        str | None, Field(description="For the next page; null when there is none.")
    ]
    timestamp: Moment
