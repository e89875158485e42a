"""Write the cases that are imported from another system, each with the event that says so.

Which cases are imported is decided in ``domain/adoption/importing.py``. A case that is here already
is never changed.
"""

from collections.abc import Sequence
from datetime import UTC
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, text

from pims_pipeline.dagster_names import partition_key
from pims_pipeline.domain.adoption.importing import LEFT_OUT_KEYS, ImportedCase, KnownCase
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.canonical import canonical_json
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.database.batches import Columns, array_literal, execute_batches
from pims_pipeline.store.v4.installation import Installation

ADOPTION_RUN = "adoption"
"""In the place of a run's id in the event of an imported case: no run of Dagster imported it."""

_COLUMNS: Columns = {
    "id": ("uuid", attrgetter("id")),
    "pims_id": ("text", attrgetter("pims_id")),
    "patient_name": ("text", attrgetter("patient_name")),
    "patient_species": ("text", attrgetter("patient_species")),
    "client_name": ("text", attrgetter("client_name")),
    "client_phone": ("text", attrgetter("client_phone")),
    "scheduled_date": ("date", attrgetter("scheduled_date")),
    "scheduled_start": ("timestamptz", attrgetter("scheduled_start")),
    "scheduled_end": ("timestamptz", attrgetter("scheduled_end")),
    "status": ("text", attrgetter("status")),
    "case_type": ("text", attrgetter("case_type")),
    "visibility": ("text", attrgetter("visibility")),
    "own_metadata": ("text", lambda case: canonical_json(case.own_metadata)),
    "created_at": ("timestamptz", attrgetter("created_at")),
    "updated_at": ("timestamptz", attrgetter("updated_at")),
}


def known_cases(
    connection: Connection, clinic: Clinic, cases: Sequence[ImportedCase]
) -> list[KnownCase]:
    """Our cases with the ids of these, of any clinic, or with the clinic's same appointments."""
    rows = connection.execute(
        text(
            """
            SELECT id, clinic_id, pims_id FROM cases
            WHERE id = ANY(CAST(:ids AS uuid[]))
            UNION
            SELECT id, clinic_id, pims_id FROM cases
            WHERE clinic_id = :clinic_id AND provider_type = :provider_type
              AND pims_id = ANY(CAST(:pims_ids AS text[]))
            """
        ),
        {
            "clinic_id": clinic.id,
            "provider_type": clinic.provider_type,
            "ids": array_literal(case.id for case in cases),
            "pims_ids": array_literal(case.pims_id for case in cases),
        },
    )
    return [KnownCase(row.id, row.clinic_id, row.pims_id) for row in rows]


def import_cases(
    connection: Connection,
    clinic: Clinic,
    installation: Installation,
    cases: Sequence[ImportedCase],
) -> None:
    """Insert the cases with the application's keys of ``metadata``, and an event for each."""
    execute_batches(
        connection,
        f"""
        INSERT INTO cases (
            id, clinic_id, provider_type, pims_id, patient_name, patient_species, client_name,
            client_phone, scheduled_date, scheduled_start, scheduled_end, status, case_type,
            visibility, metadata, created_at, updated_at)
        SELECT r.id, :clinic_id, :provider_type, r.pims_id, r.patient_name, r.patient_species,
               r.client_name, r.client_phone, r.scheduled_date, r.scheduled_start,
               r.scheduled_end, r.status, r.case_type, r.visibility,
               CASE jsonb_typeof(theirs.metadata) WHEN 'object'
                   THEN theirs.metadata - CAST(:left_out AS text[]) ELSE jsonb_build_object() END
                   || CAST(r.own_metadata AS jsonb),
               r.created_at, r.updated_at
        FROM {{rows}} LEFT JOIN {installation.table("cases")} AS theirs ON theirs.id = r.id
        """,  # noqa: S608 - quoted
        _COLUMNS,
        cases,
        {
            "clinic_id": clinic.id,
            "provider_type": clinic.provider_type,
            "left_out": sorted(LEFT_OUT_KEYS),
        },
    )
    execute_batches(
        connection,
        """
        INSERT INTO case_events (
            clinic_id, case_id, audit_id, run_id, partition_key, kind, changes, source_digest,
            occurred_at)
        SELECT :clinic_id, r.id, NULL, :run_id, r.partition_key, :kind,
               CAST(r.changes AS jsonb), NULL, now()
        FROM {rows}
        """,
        {
            "id": ("uuid", attrgetter("id")),
            "partition_key": ("text", lambda case: partition_key(clinic.slug, case.scheduled_date)),
            "changes": ("text", lambda case: canonical_json(_changes(case))),
        },
        cases,
        {"clinic_id": clinic.id, "run_id": ADOPTION_RUN, "kind": EventKind.ADOPTED.value},
    )


def _changes(case: ImportedCase) -> dict[str, tuple[Any, Any]]:
    values: dict[str, Any] = {
        "patient_name": case.patient_name,
        "patient_species": case.patient_species,
        "client_name": case.client_name,
        "client_phone": case.client_phone,
        "scheduled_date": case.scheduled_date.isoformat(),
        "scheduled_start": case.scheduled_start.astimezone(UTC).isoformat(),
        "status": case.status.value,
        "case_type": case.case_type.value,
        "external_id": case.external_id,
    }
    return {name: (None, value) for name, value in values.items() if value is not None}
