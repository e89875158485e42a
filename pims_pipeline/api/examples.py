"""Examples of answers for the OpenAPI document; the contract tests hold them to the shapes."""

from collections.abc import Mapping
from typing import Any, Final

_SYNC = "7c1d0a52-5f0e-4f7e-9f43-0f2f7a3f6f10"
_RUN = "0b6a3a1e-6c1c-4d53-9a5e-2f6a4a1f3c77"
_CASE = "5e0f2a8c-53f1-5b7e-8d7e-3c1f0a9b2d44"
_PAGES = "http://127.0.0.1:3000"
_LINKS: Mapping[str, Any] = {"self": f"/api/sync/{_SYNC}", "run": f"{_PAGES}/runs/{_RUN}"}
_WEEK: Mapping[str, Any] = {"startDate": "2026-03-09", "endDate": "2026-03-16"}
_BEGAN: Final = "2026-03-09T14:00:00.000Z"
_ENDED: Final = "2026-03-09T14:00:09.120Z"

ACCEPTED: Mapping[str, Any] = {
    "success": True,
    "syncId": _SYNC,
    "status": "queued",
    "links": _LINKS,
    "timestamp": _BEGAN,
}

INBOUND: Mapping[str, Any] = {
    "success": True,
    "syncId": _SYNC,
    "stats": {
        "appointmentsFound": 41,
        "casesCreated": 3,
        "casesUpdated": 2,
        "casesSkipped": 36,
        "casesRestored": 0,
        "quarantined": 0,
    },
    "dateRange": _WEEK,
    "durationMs": 2130,
    "timestamp": _ENDED,
}

_CASES: Mapping[str, Any] = {
    "success": True,
    "syncId": "3a8e7c58-65a5-4e0e-bb34-9b1c8f4f6b0d",
    "stats": {"casesFound": 6, "casesEnriched": 4, "casesSkipped": 2, "casesErrored": 0},
    "dateRange": _WEEK,
    "durationMs": 3480,
    "timestamp": _ENDED,
}

_RECONCILIATION: Mapping[str, Any] = {
    "success": True,
    "syncId": "c9b2f6e4-0d4d-4b83-8a3a-6d3d6f2e7a15",
    "stats": {"casesChecked": 38, "casesDeleted": 1, "casesUpdated": 0, "casesHeld": 0},
    "dateRange": _WEEK,
    "deletedCases": [_CASE],
    "durationMs": 610,
    "timestamp": _ENDED,
}

FULL: Mapping[str, Any] = {
    "success": True,
    "syncId": _SYNC,
    "inboundResult": INBOUND,
    "casesResult": _CASES,
    "reconciliationResult": _RECONCILIATION,
    "dateRange": _WEEK,
    "durationMs": 9120,
    "timestamp": _ENDED,
}

_REQUESTED: Mapping[str, Any] = {
    "syncId": _SYNC,
    "syncType": "inbound",
    "dateRange": _WEEK,
    "links": _LINKS,
    "createdAt": _BEGAN,
}
_REASON: Final = "HumanNeeded: the vendor asks for a code; log in by hand once"

STATUS: Mapping[str, Any] = {
    "running": {
        "success": True,
        **_REQUESTED,
        "status": "running",
        "progress": {"phase": "inbound", "itemsDone": 12, "itemsTotal": 41},
        "timestamp": "2026-03-09T14:00:04.000Z",
    },
    "completed": {
        "success": True,
        **_REQUESTED,
        "status": "completed",
        "result": INBOUND,
        "timestamp": _ENDED,
    },
    "failed": {
        "success": False,
        **_REQUESTED,
        "status": "failed",
        "error": _REASON,
        "result": {
            **INBOUND,
            "success": False,
            "stats": dict.fromkeys(INBOUND["stats"], 0),
            "error": _REASON,
        },
        "timestamp": _ENDED,
    },
}

LIST: Mapping[str, Any] = {
    "success": True,
    "syncs": [{**_REQUESTED, "status": "completed"}],
    "nextCursor": None,
    "timestamp": "2026-03-09T15:00:00.000Z",
}

PROVENANCE: Mapping[str, Any] = {
    "id": _CASE,
    "clinic": "riverbend",
    "timezone": "America/New_York",
    "providerType": "idexx_neo",
    "pimsId": "90210",
    "patientName": "Biscuit",
    "patientSpecies": "Canine",
    "clientName": "Example Client",
    "clientPhone": "555-0100",
    "scheduledDate": "2026-03-09",
    "scheduledStart": "2026-03-09T14:30:00.000Z",
    "scheduledEnd": "2026-03-09T15:00:00.000Z",
    "status": "draft",
    "caseType": "checkup",
    "visibility": "private",
    "metadata": {"appointment": {"status": "Confirmed", "type": "Wellness"}},
    "createdAt": _BEGAN,
    "updatedAt": _BEGAN,
    "events": [
        {
            "seq": 1207,
            "kind": "created",
            "occurredAt": _BEGAN,
            "occurredAtLocal": "2026-03-09T10:00:00.000-04:00",
            "phase": "inbound",
            "syncId": _SYNC,
            "runId": _RUN,
            "runUrl": f"{_PAGES}/runs/{_RUN}",
            "partitionKey": "riverbend|2026-03-09",
            "source": {
                "record": "appointment",
                "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "vendorUpdatedAt": "2026-03-08T21:12:00.000Z",
            },
            "changes": {"status": [None, "draft"], "appointment.status": [None, "Confirmed"]},
            "credentialAccesses": [{"purpose": "sync", "accessedAt": _BEGAN}],
        }
    ],
}


def _body(summary: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "value": value}


BODIES: Mapping[str, dict[str, Any]] = {
    "inbound": {
        "dates": _body("These dates", _WEEK),
        "ahead": _body("Today and two weeks more", {"daysAhead": 14}),
    },
    "cases": {"dates": _body("Visits of these dates", {**_WEEK, "parallelBatchSize": 5})},
    "reconcile": {"back": _body("From two weeks ago on", {"lookbackDays": 14})},
    "full": {
        "dates": _body("These dates", {**_WEEK, "lookbackDays": 7, "parallelBatchSize": 5}),
        "ahead": _body("A week back, two weeks ahead", {"daysAhead": 14, "lookbackDays": 7}),
    },
}
"""Of requests, by scope and name."""
