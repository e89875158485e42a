"""A sync as it is accepted, read and listed. Its result is in ``results``."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from pims_pipeline.domain.phases import PhaseName, SyncType
from pims_pipeline.wire.results import AnyResult, Dates
from pims_pipeline.wire.shape import Model, Timestamp, left_out_if_none

Status = Literal["queued", "running", "completed", "failed", "held"]


class Links(Model):
    """The path of the sync, and its run in the Dagster UI (null while unknown)."""

    self_: Annotated[str, Field(alias="self")]
    run: str | None


class Accepted(Model):
    """A sync that was queued."""

    success: Literal[True]
    sync_id: UUID
    status: Literal["queued"]
    links: Links
    timestamp: Timestamp


class Progress(Model):
    """The progress of the active phase."""

    phase: PhaseName
    items_done: int
    items_total: int


class _Sync(Model):
    sync_id: UUID
    sync_type: SyncType
    status: Status
    date_range: Dates
    progress: Annotated[Progress | None, left_out_if_none("Only while it runs.")] = None
    error: Annotated[str | None, left_out_if_none("Only if it did not succeed.")] = None
    links: Links
    created_at: Timestamp


class SyncStatus(_Sync):
    """The status of a sync; ``success`` is false once it has failed or is held."""

    success: bool
    result: Annotated[AnyResult | None, left_out_if_none("Only once it has ended.")] = None
    timestamp: Annotated[Timestamp, Field(description="When it ended; before that, now.")]


class SyncSummary(_Sync):
    """A sync in the list."""


class SyncList(Model):
    """The clinic's syncs, newest first: of the API, of schedules and of operators."""

    success: Literal[True]
    syncs: list[SyncSummary]
    next_cursor: Annotated[
        str | None, Field(description="The `cursor` of the next page; null on the last page.")
    ]
    timestamp: Timestamp
