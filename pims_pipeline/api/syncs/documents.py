"""Responses about syncs: models of ``pims_pipeline.wire``, made from what is known. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pims_pipeline.api.request_options import cursor_text
from pims_pipeline.api.syncs.status import SyncState
from pims_pipeline.api.syncs.watcher import ReportedSync
from pims_pipeline.domain.phases import TYPE_OF
from pims_pipeline.store.queries.syncs import StoredSync
from pims_pipeline.store.requests import SyncRequest
from pims_pipeline.sync.provenance import run_url
from pims_pipeline.wire.results import Dates, any_result
from pims_pipeline.wire.syncs import Accepted, Links, Progress, SyncList, SyncStatus, SyncSummary


def path_of_sync(sync_id: UUID) -> str:
    """Where a sync is told of."""
    return f"/api/sync/{sync_id}"


def _links(sync_id: UUID, run_id: str | None, dagster_ui_url: str) -> Links:
    run = None if run_id is None else run_url(dagster_ui_url, run_id)
    return Links(self_=path_of_sync(sync_id), run=run)


def accepted(request: SyncRequest, *, dagster_ui_url: str) -> Accepted:
    """What a launched request is answered with: the same, whenever it is sent again."""
    return Accepted(
        success=True,
        sync_id=request.id,
        status="queued",
        links=_links(request.id, request.run_id, dagster_ui_url),
        timestamp=request.launched_at or request.created_at,
    )


def status(told: ReportedSync, *, dagster_ui_url: str) -> SyncStatus:
    """How a sync stands; once it has ended, the same for ever."""
    sync, standing = told
    result = standing.result
    return SyncStatus(
        **_facts(sync, standing, dagster_ui_url),
        success=result is None or result.success,
        result=None if result is None else any_result(result),
        timestamp=standing.at,
    )


def _facts(sync: StoredSync, standing: SyncState, dagster_ui_url: str) -> dict[str, Any]:
    """The fields that a sync has wherever it is shown."""
    progress = standing.progress
    return {
        "sync_id": sync.id,
        "sync_type": TYPE_OF[sync.scope],
        "status": standing.status,
        "date_range": Dates.of(sync.window),
        "progress": progress
        and Progress(
            phase=progress.phase,
            items_done=progress.items_done,
            items_total=progress.items_total,
        ),
        "error": standing.error,
        "links": _links(sync.id, sync.run_id, dagster_ui_url),
        "created_at": sync.created_at,
    }


def page(
    told: Sequence[ReportedSync], limit: int, *, now: datetime, dagster_ui_url: str
) -> SyncList:
    """A page of the list, from one sync more than it may hold, if there is one more."""
    shown = told[:limit]
    return SyncList(
        success=True,
        syncs=[SyncSummary(**_facts(sync, standing, dagster_ui_url)) for sync, standing in shown],
        next_cursor=cursor_text(shown[-1].sync.place) if len(told) > limit else None,
        timestamp=now,
    )
