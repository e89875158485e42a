"""A row of a clinic in every table, for tests of access between clinics.

Short of what the program itself would write: just what the tables demand.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert

from pims_pipeline.domain.api_keys import hash_of
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.tables.all import metadata

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = date(2026, 3, 2)
WINDOW = {"window_start": DAY, "window_end": DAY}

TenantRows = Mapping[str, Mapping[str, Any]]
"""A row for each table."""


def tenant_rows(clinic_id: UUID, slug: str) -> dict[str, dict[str, Any]]:
    """A row of the clinic for each table, those first that others refer to."""
    audit, key, case = uuid4(), uuid4(), uuid4()
    return {
        **_clinic_rows(clinic_id, slug, key),
        **_sync_rows(clinic_id, slug, audit, case),
        **_operation_rows(clinic_id, key),
        **_adoption_rows(clinic_id, case),
        **_operator_rows(clinic_id),
    }


def _vendor(clinic_id: UUID) -> dict[str, Any]:
    return {"clinic_id": clinic_id, "provider_type": "idexx_neo"}


def _clinic_rows(clinic_id: UUID, slug: str, key: UUID) -> dict[str, dict[str, Any]]:
    secret = {**_vendor(clinic_id), "encrypted_data": b"secret", "key_id": "k"}
    return {
        "clinics": {
            "id": clinic_id,
            "slug": slug,
            "name": slug,
            "timezone": "UTC",
            "provider_type": "idexx_neo",
            "provider_base_url": "https://pims.example",
        },
        "clinic_schedule_configs": {"clinic_id": clinic_id},
        "clinic_words": {
            "clinic_id": clinic_id,
            "kind": "status",
            "word": "waiting",
            "meaning": "ongoing",
            "changed_by": "ann",
        },
        "clinic_api_keys": {
            "id": key,
            "clinic_id": clinic_id,
            "name": "a client's",
            "key_prefix": key.hex[:8],
            "key_hash": hash_of(key.hex),
        },
        "pims_credentials": secret,
        "pims_sessions": {**secret, "expires_at": NOW},
        "credential_access_log": {**_vendor(clinic_id), "purpose": "login"},
    }


def _sync_rows(clinic_id: UUID, slug: str, audit: UUID, case: UUID) -> dict[str, dict[str, Any]]:
    vendors = _vendor(clinic_id)
    return {
        "case_sync_audits": {
            **WINDOW,
            "id": audit,
            "clinic_id": clinic_id,
            "sync_type": "inbound",
            "run_id": "run-1",
            "owner": 1,
        },
        "pims_appointments": {
            **vendors,
            "pims_id": "1",
            "business_date": DAY,
            "scheduled_start": NOW,
            "payload": {},
            "digest": "d",
            "fetched_at": NOW,
            "first_seen_at": NOW,
            "last_seen_at": NOW,
            "audit_id": audit,
        },
        "cases": {
            "id": case,
            "clinic_id": clinic_id,
            "patient_name": "Rex",
            "client_name": "Ann",
            "scheduled_date": DAY,
        },
        "case_events": {
            "clinic_id": clinic_id,
            "case_id": uuid4(),
            "audit_id": audit,
            "run_id": "run-1",
            "partition_key": f"{slug}|{DAY}",
            "kind": "created",
            "changes": {},
            "occurred_at": NOW,
        },
        "sync_failures": {
            **vendors,
            "phase": "inbound",
            "record_key": "1",
            "error_class": "ContractViolation",
            "error_message": "unreadable",
            "first_failed_at": NOW,
            "last_failed_at": NOW,
        },
        "reconciliation_holds": {**WINDOW, "clinic_id": clinic_id, "reason": "many", "plan": {}},
    }


def _operation_rows(clinic_id: UUID, key: UUID) -> dict[str, dict[str, Any]]:
    request = uuid4()
    return {
        "sync_requests": {
            **WINDOW,
            "id": request,
            "clinic_id": clinic_id,
            "api_key_id": key,
            "scope": "inbound",
        },
        "idempotency_keys": {
            "clinic_id": clinic_id,
            "key": "once",
            "request_hash": hash_of("body"),
            "sync_id": request,
            "expires_at": NOW,
        },
        "alerts": {"clinic_id": clinic_id, "kind": "hold", "opened_at": NOW},
        "schedule_skips": {"clinic_id": clinic_id, "sync_type": "cases", "last_skipped_at": NOW},
        "vendor_shapes": {
            **_vendor(clinic_id),
            "week": DAY,
            "path": "listing[].id",
            "json_type": "number",
            "seen": 3,
            "first_seen_at": NOW,
            "last_seen_at": NOW,
        },
        "webhooks": {
            "id": request,
            "clinic_id": clinic_id,
            "url": "https://app.example/hooks",
            "encrypted_data": b"sealed",
            "key_id": "00000000",
            "status": "disabled",
            "disabled_at": NOW,
        },
        "webhook_deliveries": {
            "webhook_id": request,
            "clinic_id": clinic_id,
            "seq": 1,
            "case_id": key,
        },
        "run_leases": {"owner": secrets.randbelow(2**31), "expires_at": NOW},
        "login_leases": {**_vendor(clinic_id), "holder": uuid4(), "expires_at": NOW},
    }


def _adoption_rows(clinic_id: UUID, case: UUID) -> dict[str, dict[str, Any]]:
    return {
        "adoptions": {
            "clinic_id": clinic_id,
            "layout": "deployed",
            "their_schema": "public",
            "their_clinic_id": clinic_id,
            "mode": "shadow",
            "last_diff": {},
            "last_diff_at": NOW,
        },
        "adopted_cases": {
            "clinic_id": clinic_id,
            "case_id": case,
            "their_case_id": case,
            "external_id": "pims-appt-idexx-neo-1",
        },
        "adoption_steps": {"clinic_id": clinic_id, "step": "run"},
        "application_writes": {
            "clinic_id": clinic_id,
            "case_id": case,
            "their_case_id": case,
            "run_id": "run-1",
            "partition_key": f"clinic|{DAY}",
            "kind": "updated",
            "columns": ["status"],
        },
        "adoption_diffs": {
            "clinic_id": clinic_id,
            "day": DAY,
            **WINDOW,
            "compared": 3,
            "differences": 0,
            "waiting": 0,
            "by_kind": {},
        },
    }


def _operator_rows(clinic_id: UUID) -> dict[str, dict[str, Any]]:
    operator = uuid4()
    return {
        "operators": {"id": operator, "name": f"ann-{operator.hex}"},
        "operator_roles": {"operator_id": operator, "clinic_id": clinic_id, "role": "viewer"},
        "operator_sign_ins": {
            "id_hash": hash_of(operator.hex),
            "operator_id": operator,
            "expires_at": NOW,
        },
        "sign_in_attempts": {"subject": hash_of(operator.hex), "attempts": 1},
        "operator_log": {
            "operator_id": operator,
            "clinic_id": clinic_id,
            "action": "clinic_seen",
        },
    }


def another_row(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A second row of the same clinic that collides with no first one."""
    changed: dict[str, dict[str, Any]] = {
        "sync_requests": {"id": uuid4()},
        "idempotency_keys": {"key": "twice"},
        "cases": {"id": uuid4()},
    }
    return {**row, **changed.get(table, {})}


def add_tenant(connection: Connection, slug: str) -> TenantRows:
    """Add a clinic that has a row in every table."""
    clinic_id = uuid4()
    rows = tenant_rows(clinic_id, slug)
    lock_clinic(connection, clinic_id)
    for table, row in rows.items():
        connection.execute(insert(metadata.tables[table]).values(row))
    return rows
