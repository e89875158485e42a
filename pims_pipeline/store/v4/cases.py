"""Their cases with their patients, in batches, so that a hundred thousand take little memory.

The batches come from a cursor that is declared by a statement and ends with the transaction, so it
works through a pooler in transaction mode, and all batches show the cases of one moment. Counting
and what refers to cases belong in ``references`` and ``counting``.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row

from pims_pipeline.domain.adoption.identities import (
    appointment_of_external_id,
    appointment_of_pims_id,
)
from pims_pipeline.domain.adoption.v4 import Layout, V4Case, V4Patient
from pims_pipeline.domain.clinics import DateRange, day_bounds
from pims_pipeline.store.cases.metadata import json_value
from pims_pipeline.store.database.batches import streamed
from pims_pipeline.store.v4.installation import Installation, moment

NOT_LINKED = """NOT EXISTS (
    SELECT FROM adopted_cases AS link
    WHERE link.clinic_id = :clinic_id AND link.their_case_id = c.id)"""
"""Whether no case of ours belongs to their case, in a statement that names ``cases AS c``."""

# Their defaults, where a row has none.
_CREATED, _UPDATED = moment("c.created_at"), moment("c.updated_at")
_SHARED = f"""
    coalesce(CAST(c.status AS text), 'draft') AS status,
    coalesce(CAST(c.visibility AS text), 'private') AS visibility,
    CAST(c.metadata AS text) AS metadata,
    coalesce({_CREATED}, {_UPDATED}, now()) AS created_at,
    coalesce({_UPDATED}, {_CREATED}, now()) AS updated_at"""
_PATIENT = {
    "name": "text",
    "species": "text",
    "breed": "text",
    "owner_name": "text",
    "owner_phone": "text",
    "owner_email": "text",
}


def cases_of(
    connection: Connection,
    installation: Installation,
    clinic_id: UUID,
    *,
    dates: DateRange | None = None,
    zone: ZoneInfo | None = None,
    linked: bool = True,
) -> Iterator[V4Case]:
    """The clinic's cases, those of people too, ordered by id.

    The statement runs when the first case is read. Other statements may be executed on the
    connection between two cases.

    Args:
        connection: In a transaction, which must not end before the last case is read.
        installation: Whose tables.
        clinic_id: The clinic.
        dates: Only the cases of these business dates; all cases unless given, also those
            without a date.
        zone: The clinic's time zone; needed with ``dates``, by which the deployed layout's times
            have a date.
        linked: Whether to read those that ``adopted_cases`` links to ours, too.

    Example:
        ``by_id = {case.id: case for case in cases_of(connection, installation, clinic.id)}``
    """
    parameters: dict[str, Any] = {"clinic_id": clinic_id}
    where = "c.clinic_id = :clinic_id"
    if dates is not None:
        if zone is None:
            raise ValueError("cases of given dates need the clinic's time zone")
        if installation.layout is Layout.DEPLOYED:
            parameters["start"], parameters["end"] = day_bounds(dates, zone)
            where += " AND c.scheduled_at >= :start AND c.scheduled_at < :end"
        else:
            parameters |= {"start": dates.start, "end": dates.end}
            where += " AND c.scheduled_date BETWEEN :start AND :end"
    if not linked:
        where += f" AND {NOT_LINKED}"
    query = f"{_select(installation)} WHERE {where} ORDER BY c.id"
    yield from (_case(row, installation.layout) for row in streamed(connection, query, parameters))


def _select(installation: Installation) -> str:
    if installation.layout is Layout.DOCUMENTED:
        return f"""
            SELECT c.id, c.clinic_id, c.pims_id AS external_id, CAST(NULL AS text) AS source,
                CAST(NULL AS timestamptz) AS scheduled_at,
                {moment("c.scheduled_date")} AS scheduled_date,
                coalesce(CAST(c.case_type AS text), 'checkup') AS case_type, {_SHARED},
                true AS has_patient, c.patient_name AS name,
                CAST(NULL AS text) AS species, CAST(NULL AS text) AS breed,
                c.client_name AS owner_name, CAST(NULL AS text) AS owner_phone,
                CAST(NULL AS text) AS owner_email
            FROM {installation.table("cases")} AS c"""  # noqa: S608 - quoted
    cases = f"""
        SELECT c.id, c.clinic_id, c.external_id, c.source,
            {moment("c.scheduled_at")} AS scheduled_at,
            CAST(NULL AS date) AS scheduled_date,
            coalesce(CAST(c.type AS text), 'checkup') AS case_type, {_SHARED}"""
    if not installation.has("patients"):
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in _PATIENT.items())
        return f"{cases}, false AS has_patient, {nothing} FROM {installation.table('cases')} AS c"
    read = ", ".join(
        f"CAST({installation.column('patients', 'p', name, kind)} AS {kind}) AS {name}"
        for name, kind in _PATIENT.items()
    )
    shown = ", ".join(f"p.{name}" for name in _PATIENT)
    # One row per case, but no constraint of theirs need say so.
    return f"""{cases}, p.case_id IS NOT NULL AS has_patient, {shown}
        FROM {installation.table("cases")} AS c
        LEFT JOIN (
            SELECT DISTINCT ON (p.case_id) p.case_id, {read}
            FROM {installation.table("patients")} AS p
            ORDER BY p.case_id, {installation.column("patients", "p", "created_at", "timestamptz")}
                DESC NULLS LAST, p.id
        ) AS p ON p.case_id = c.id"""  # noqa: S608 - quoted


def _case(row: Row[Any], layout: Layout) -> V4Case:
    metadata = json_value(row.metadata)
    is_deployed = layout is Layout.DEPLOYED
    appointment_of = appointment_of_external_id if is_deployed else appointment_of_pims_id
    return V4Case(
        id=row.id,
        clinic_id=row.clinic_id,
        external_id=row.external_id,
        appointment_id=appointment_of(row.external_id),
        source=row.source,
        scheduled_at=row.scheduled_at,
        scheduled_date=row.scheduled_date,
        status=row.status,
        case_type=row.case_type,
        visibility=row.visibility,
        metadata=metadata if isinstance(metadata, dict) else {},
        patient=V4Patient(**{name: getattr(row, name) for name in _PATIENT})
        if row.has_patient
        else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
