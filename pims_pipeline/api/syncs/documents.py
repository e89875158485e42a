"""Builds the responses about syncs from their reports. Pure; the models are in ``wire``."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pims_pipeline.api.request_options import cursor_text
from pims_pipeline.api.syncs.status import SyncState
from pims_pipeline.api.syncs.watcher import SyncReport
from pims_pipeline.domain.phases import TYPE_OF
from pims_pipeline.store.queries.syncs import StoredSync
from pims_pipeline.store.requests import SyncRequest
from pims_pipeline.sync.provenance import run_url
from pims_pipeline.wire.results import Dates, any_result
from pims_pipeline.wire.syncs import Accepted, Links, Progress, SyncList, SyncStatus, SyncSummary


def path_of_sync(sync_id: UUID) -> str:
    """Return the path of a sync."""
    return f"/api/sync/{sync_id}"


def _links(sync_id: UUID, run_id: str | None, dagster_ui_url: str) -> Links:
    run = None if run_id is None else run_url(dagster_ui_url, run_id)
    return Links(self_=path_of_sync(sync_id), run=run)


def accepted(request: SyncRequest, *, dagster_ui_url: str) -> Accepted:
    """Return the response to a launched request; the same whenever the request is repeated."""
    return Accepted(
        success=True,
        sync_id=request.id,
        status="queued",
        links=_links(request.id, request.run_id, dagster_ui_url),
        timestamp=request.launched_at or request.created_at,
    )


def status(report: SyncReport, *, dagster_ui_url: str) -> SyncStatus:
    """Return the status of a sync; it no longer changes once the sync has ended."""
    sync, state = report
    result = state.result
    return SyncStatus(
        **_facts(sync, state, dagster_ui_url),
        success=result is None or result.success,
        result=None if result is None else any_result(result),
        timestamp=state.at,
    )


def _facts(sync: StoredSync, state: SyncState, dagster_ui_url: str) -> dict[str, Any]:
    """Return the fields that single and listed syncs share."""
    progress = state.progress
    return {
        "sync_id": sync.id,
        "sync_type": TYPE_OF[sync.scope],
        "status": state.status,
        "date_range": Dates.of(sync.window),
        "progress": progress
        and Progress(
            phase=progress.phase,
            items_done=progress.items_done,
            items_total=progress.items_total,
        ),
        "error": state.error,
        "links": _links(sync.id, sync.run_id, dagster_ui_url),
        "created_at": sync.created_at,
    }


def page(
    reports: Sequence[SyncReport], limit: int, *, now: datetime, dagster_ui_url: str
) -> SyncList:
    """Return a page of the list.

    Args:
        reports: The syncs of the page, and one more if there is a next page.
        limit: The size of a page.
        now: The present time, aware.
        dagster_ui_url: For the links of runs.
    """
    shown = reports[:limit]
    return SyncList(
        success=True,
        syncs=[SyncSummary(**_facts(sync, state, dagster_ui_url)) for sync, state in shown],
        next_cursor=cursor_text(shown[-1].sync.place) if len(reports) > limit else None,
        timestamp=now,
    )
