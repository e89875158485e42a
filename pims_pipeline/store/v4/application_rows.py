"""Read the application's rows of cases as they are, and what they can hold, to write them.

Writing them belongs in ``application_writing``; whole cases of a clinic are read in ``cases``.
"""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.adoption.application.metadata import StoredConsultation
from pims_pipeline.domain.adoption.application.sides import ApplicationRow, RowRules
from pims_pipeline.domain.adoption.identities import (
    appointment_of_external_id,
    appointment_of_pims_id,
    external_ids_of,
)
from pims_pipeline.domain.adoption.importing import APPOINTMENT_KEY, RECONCILIATION_KEY, Candidate
from pims_pipeline.domain.adoption.v4 import Layout, V4Patient
from pims_pipeline.store.cases.metadata import json_value
from pims_pipeline.store.database.batches import array_literal
from pims_pipeline.store.v4.installation import Installation, moment, quoted

PATIENTS = "patients"
_TYPE_COLUMN = {Layout.DEPLOYED: "type", Layout.DOCUMENTED: "case_type"}
_ID_COLUMN = {Layout.DEPLOYED: "external_id", Layout.DOCUMENTED: "pims_id"}

_METADATA = f"""
    coalesce(jsonb_typeof(c.metadata), 'object') = 'object' AS has_metadata,
    (c.metadata -> '{APPOINTMENT_KEY}')::text AS appointment,
    (c.metadata -> '{RECONCILIATION_KEY}')::text AS mark,
    coalesce(jsonb_typeof(c.metadata -> 'pimsConsultation'), 'null') <> 'null' AS has_consultation,
    c.metadata #>> '{{pimsConsultation,digest}}' AS digest,
    CASE WHEN c.metadata #>> '{{pimsConsultation,digest}}' IS NULL
        THEN (c.metadata -> 'pimsConsultation')::text END AS consultation"""


def type_column(installation: Installation) -> str:
    """The column of ``cases`` that holds a case's type."""
    return _TYPE_COLUMN[installation.layout]


def id_column(installation: Installation) -> str:
    """The column of ``cases`` that names the appointment."""
    return _ID_COLUMN[installation.layout]


def rules_of(connection: Connection, installation: Installation, clinic_id: UUID) -> RowRules:
    """What the rows of the installation can hold: the labels of its enums, its columns."""
    labels: dict[str, list[str]] = {}
    rows = connection.execute(
        text(
            """
            SELECT CAST(a.attname AS text) AS name, CAST(e.enumlabel AS text) AS label
            FROM pg_catalog.pg_attribute AS a
            JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_enum AS e ON e.enumtypid = a.atttypid
            WHERE n.nspname = :schema AND c.relname = 'cases' AND NOT a.attisdropped
            """
        ),
        {"schema": installation.schema},
    )
    for row in rows:
        labels.setdefault(row.name, []).append(row.label)
    named = "patients" if installation.layout is Layout.DEPLOYED else "cases"
    deployed = installation.layout is Layout.DEPLOYED and installation.has(PATIENTS)
    return RowRules(
        layout=installation.layout,
        clinic_id=clinic_id,
        statuses=tuple(labels.get("status", ())),
        case_types=tuple(labels.get(type_column(installation), ())),
        patient_columns=installation.columns[PATIENTS] if deployed else None,
        lengths=_lengths(connection, installation, named),
    )


def _lengths(connection: Connection, installation: Installation, table: str) -> dict[str, int]:
    """By column of the table how many characters it can hold, where that is limited."""
    rows = connection.execute(
        text(
            """
            SELECT CAST(column_name AS text) AS name, character_maximum_length AS longest
            FROM information_schema.columns
            WHERE table_schema = :schema AND table_name = :name
              AND character_maximum_length IS NOT NULL
            """
        ),
        {"schema": installation.schema, "name": table},
    )
    return {row.name: row.longest for row in rows}


def application_rows(
    connection: Connection,
    installation: Installation,
    case_ids: Collection[UUID],
    *,
    lock: bool = False,
) -> dict[UUID, ApplicationRow]:
    """The rows with these ids, whosever they are; those that do not exist are absent.

    ``lock`` locks them against other changes until the transaction ends.
    """
    if not case_ids:
        return {}
    rows = connection.execute(
        text(
            f"{_select(installation)} WHERE c.id = ANY(CAST(:ids AS uuid[])) ORDER BY c.id"
            + (" FOR UPDATE OF c" if lock else "")
        ),
        {"ids": array_literal(case_ids)},
    )
    return {row.id: _row(row, installation) for row in rows}


def _select(installation: Installation) -> str:
    table = installation.table("cases")
    if installation.layout is Layout.DOCUMENTED:
        return f"""
            SELECT c.id, c.clinic_id, c.pims_id AS external_id,
                CAST(NULL AS timestamptz) AS scheduled_at,
                {moment("c.scheduled_date")} AS scheduled_date,
                CAST(c.status AS text) AS status, CAST(c.case_type AS text) AS case_type,
                {_METADATA}, CAST(NULL AS text) AS patient_id, true AS has_patient,
                c.patient_name AS name, CAST(NULL AS text) AS species,
                CAST(NULL AS text) AS breed, c.client_name AS owner_name,
                CAST(NULL AS text) AS owner_phone, CAST(NULL AS text) AS owner_email
            FROM {table} AS c"""  # noqa: S608 - quoted
    names = ("name", "species", "breed", "owner_name", "owner_phone", "owner_email")
    has_patients = installation.has(PATIENTS)
    shown = ", ".join(f"p.{name}" if has_patients else f"NULL AS {name}" for name in names)
    patient = "CAST(p.id AS text)" if has_patients else "CAST(NULL AS text)"
    return f"""
        SELECT c.id, c.clinic_id, c.external_id,
            {moment("c.scheduled_at")} AS scheduled_at,
            CAST(NULL AS date) AS scheduled_date, CAST(c.status AS text) AS status,
            CAST(c.type AS text) AS case_type, {_METADATA}, {patient} AS patient_id,
            {patient} IS NOT NULL AS has_patient, {shown}
        FROM {table} AS c {_patient_join(installation, names) if has_patients else ""}"""  # noqa: S608 - quoted


def _patient_join(installation: Installation, names: Collection[str]) -> str:
    read = ", ".join(
        f"CAST({installation.column(PATIENTS, 'n', name)} AS text) AS {name}" for name in names
    )
    newest = installation.column(PATIENTS, "n", "created_at", "timestamptz")
    # One row per case, but no constraint of theirs need say so.
    return f"""LEFT JOIN LATERAL (
            SELECT n.id, {read} FROM {installation.table(PATIENTS)} AS n
            WHERE n.case_id = c.id ORDER BY {newest} DESC NULLS LAST, n.id LIMIT 1
        ) AS p ON true"""  # noqa: S608 - quoted


def _row(row: Row[Any], installation: Installation) -> ApplicationRow:
    is_deployed = installation.layout is Layout.DEPLOYED
    appointment_of = appointment_of_external_id if is_deployed else appointment_of_pims_id
    keys = {
        APPOINTMENT_KEY: json_value(row.appointment),
        RECONCILIATION_KEY: json_value(row.mark),
    }
    patient = V4Patient(
        name=row.name,
        species=row.species,
        breed=row.breed,
        owner_name=row.owner_name,
        owner_phone=row.owner_phone,
        owner_email=row.owner_email,
    )
    return ApplicationRow(
        id=row.id,
        clinic_id=row.clinic_id,
        appointment_id=appointment_of(row.external_id),
        scheduled_at=row.scheduled_at,
        scheduled_date=row.scheduled_date,
        status=row.status or "",
        case_type=row.case_type or "",
        has_metadata=row.has_metadata,
        service_metadata={name: value for name, value in keys.items() if value is not None},
        consultation=StoredConsultation(row.digest, json_value(row.consultation))
        if row.has_consultation
        else None,
        patient=patient if row.has_patient else None,
        patient_id=row.patient_id,
    )


def rows_of_appointments(
    connection: Connection,
    installation: Installation,
    clinic_id: UUID,
    appointment_ids: Collection[str],
) -> tuple[list[Candidate], Mapping[UUID, str]]:
    """The clinic's rows of these appointments, whatever their ids, and their external ids."""
    if not appointment_ids:
        return [], {}
    column = quoted(id_column(installation))
    names = [name for each in appointment_ids for name in external_ids_of(each)]
    if installation.layout is Layout.DOCUMENTED:
        names += appointment_ids
    rows = connection.execute(
        text(
            f"SELECT c.id, c.{column} AS external_id, "  # noqa: S608 - quoted
            f"coalesce({moment('c.created_at')}, {moment('c.updated_at')}, now()) AS created_at "
            f"FROM {installation.table('cases')} AS c WHERE c.clinic_id = :clinic_id "
            f"AND c.{column} = ANY(CAST(:names AS text[])) ORDER BY c.id"
        ),
        {"clinic_id": clinic_id, "names": array_literal(names)},
    ).all()
    is_deployed = installation.layout is Layout.DEPLOYED
    appointment_of = appointment_of_external_id if is_deployed else appointment_of_pims_id
    candidates = [
        Candidate(row.id, appointment, row.created_at)
        for row in rows
        if (appointment := appointment_of(row.external_id)) is not None
    ]
    return candidates, {row.id: row.external_id for row in rows}
