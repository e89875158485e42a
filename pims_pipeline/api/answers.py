"""What is said of syncs, as JSON documents; their shapes stand in ``schemas``. Pure."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pims_pipeline.api.preferences import cursor_of
from pims_pipeline.api.standing import Standing
from pims_pipeline.api.watching import Told
from pims_pipeline.domain.phases import TYPE_OF
from pims_pipeline.store.requests import SyncRequest
from pims_pipeline.store.syncs import StoredSync
from pims_pipeline.sync.provenance import run_url
from pims_pipeline.sync.results import utc_text

Document = dict[str, object]


def path_of_sync(sync_id: UUID) -> str:
    """Where a sync is told of."""
    return f"/api/sync/{sync_id}"


def _links(sync_id: UUID, run_id: str | None, dagster_ui_url: str) -> Document:
    run = None if run_id is None else run_url(dagster_ui_url, run_id)
    return {"self": path_of_sync(sync_id), "run": run}


def accepted(request: SyncRequest, *, dagster_ui_url: str) -> Document:
    """What a launched request is answered with: the same, whenever it is sent again."""
    return {
        "success": True,
        "syncId": str(request.id),
        "status": "queued",
        "links": _links(request.id, request.run_id, dagster_ui_url),
        "timestamp": utc_text(request.launched_at or request.created_at),
    }


def status(told: Told, *, dagster_ui_url: str) -> Document:
    """How a sync stands; once it has ended, the same for ever."""
    sync, standing = told
    result = standing.result
    answer: Document = {
        "success": result is None or result["success"],
        **_summary(sync, standing, dagster_ui_url),
        "timestamp": utc_text(standing.at),
    }
    if result is not None:
        answer["result"] = result
    return answer


def _summary(sync: StoredSync, standing: Standing, dagster_ui_url: str) -> Document:
    answer: Document = {
        "syncId": str(sync.id),
        "syncType": TYPE_OF[sync.scope],
        "status": standing.status,
        "dateRange": {
            "startDate": sync.window.start.isoformat(),
            "endDate": sync.window.end.isoformat(),
        },
        "links": _links(sync.id, sync.run_id, dagster_ui_url),
        "createdAt": utc_text(sync.created_at),
    }
    if standing.progress is not None:
        answer["progress"] = {
            "phase": standing.progress.phase.value,
            "itemsDone": standing.progress.items_done,
            "itemsTotal": standing.progress.items_total,
        }
    if standing.error is not None:
        answer["error"] = standing.error
    return answer


def page(told: Sequence[Told], limit: int, *, now: datetime, dagster_ui_url: str) -> Document:
    """A page of the list, from one sync more than it may hold, if there is one more."""
    shown = told[:limit]
    more = len(told) > limit
    return {
        "success": True,
        "syncs": [_summary(sync, standing, dagster_ui_url) for sync, standing in shown],
        "nextCursor": cursor_of(shown[-1].sync.place) if more else None,
        "timestamp": utc_text(now),
    }
