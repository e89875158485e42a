"""Their cases as far as they are compared with ours: no patients, no clients, no notes.

Also when the v4.0 service last synced. What differs is decided in
``domain/adoption/differences.py``.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.adoption.differences import TheirCase
from pims_pipeline.domain.adoption.identities import (
    EXTERNAL_ID_PREFIXES,
    appointment_of_external_id,
    appointment_of_pims_id,
)
from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.domain.clinics import DateRange, day_bounds
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.database.batches import array_literal, streamed
from pims_pipeline.store.v4.installation import Installation, moment

_SOAP = " OR ".join(
    f"btrim(coalesce(c.metadata #>> '{{pimsConsultation,soapNotes,{part}}}', '')) <> ''"
    for part in ("subjective", "objective", "assessment", "plan")
)
# A vendor's word is a text, or an object with a name.
_WORD = (
    "coalesce(c.metadata #>> '{{pimsAppointment,{0},name}}', "
    "CASE jsonb_typeof(c.metadata #> '{{pimsAppointment,{0}}}') WHEN 'string' "
    "THEN c.metadata #>> '{{pimsAppointment,{0}}}' END)"
)
_COLUMNS = f"""
    coalesce(CAST(c.status AS text), 'draft') AS status,
    coalesce(jsonb_typeof(c.metadata -> 'reconciliation') = 'object'
        AND c.metadata -> 'reconciliation' <> '{{}}', false) AS has_mark,
    coalesce(jsonb_typeof(c.metadata #> '{{pimsConsultation,consultationId}}')
        IN ('string', 'number'), false)
        AND (btrim(coalesce(c.metadata #>> '{{pimsConsultation,notes}}', '')) <> '' OR {_SOAP})
        AS has_consultation,
    {_WORD.format("status")} AS status_word,
    coalesce({_WORD.format("appointmentType")}, {_WORD.format("type")}) AS type_word,
    coalesce({moment("c.created_at")}, {moment("c.updated_at")}, now()) AS created_at"""
_SELECT = {
    Layout.DEPLOYED: f"""
        SELECT c.id, c.external_id, CAST(c.source AS text) AS source,
            {moment("c.scheduled_at")} AS scheduled_at,
            CAST(NULL AS date) AS scheduled_date,
            coalesce(CAST(c.type AS text), 'checkup') AS case_type, {_COLUMNS}""",
    Layout.DOCUMENTED: f"""
        SELECT c.id, c.pims_id AS external_id, CAST(NULL AS text) AS source,
            CAST(NULL AS timestamptz) AS scheduled_at,
            {moment("c.scheduled_date")} AS scheduled_date,
            coalesce(CAST(c.case_type AS text), 'checkup') AS case_type, {_COLUMNS}""",
}


def compared_cases_on(
    connection: Connection,
    installation: Installation,
    clinic_id: UUID,
    dates: DateRange,
    zone: ZoneInfo,
    *,
    and_of: Collection[str] = (),
) -> Iterator[TheirCase]:
    """The clinic's cases of these business dates that name an appointment.

    Args:
        connection: In a transaction, which must not end before the last case is read.
        installation: Whose tables.
        clinic_id: The clinic there.
        dates: Business dates.
        zone: The clinic's time zone, by which the deployed layout's times have a date.
        and_of: Also the cases of these appointments, whatever their date.
    """
    if installation.layout is Layout.DEPLOYED:
        start, end = day_bounds(dates, zone)
        on = "c.scheduled_at >= :start AND c.scheduled_at < :end"
        bounds: dict[str, Any] = {"start": start, "end": end}
    else:
        on = "c.scheduled_date BETWEEN :start AND :end"
        bounds = {"start": dates.start, "end": dates.end}
    of, parameters = _of(installation, and_of)
    where = f"({on} OR {of})"
    return _read(connection, installation, clinic_id, where, {**bounds, **parameters})


def compared_cases_of(
    connection: Connection,
    installation: Installation,
    clinic_id: UUID,
    appointment_ids: Collection[str],
) -> Iterator[TheirCase]:
    """The clinic's cases of these appointments, whatever their date."""
    if not appointment_ids:
        return iter(())
    where, parameters = _of(installation, appointment_ids)
    return _read(connection, installation, clinic_id, where, parameters)


def _of(installation: Installation, appointment_ids: Collection[str]) -> tuple[str, dict[str, Any]]:
    """The condition that a case is of one of these appointments, and its parameters."""
    is_deployed = installation.layout is Layout.DEPLOYED
    column = "external_id" if is_deployed else "pims_id"
    prefixes = EXTERNAL_ID_PREFIXES if is_deployed else ("", *EXTERNAL_ID_PREFIXES)
    external_ids = (prefix + each for each in appointment_ids for prefix in prefixes)
    return f"c.{column} = ANY(CAST(:external_ids AS text[]))", {
        "external_ids": array_literal(external_ids)
    }


def _read(
    connection: Connection,
    installation: Installation,
    clinic_id: UUID,
    where: str,
    parameters: dict[str, Any],
) -> Iterator[TheirCase]:
    query = (
        f"{_SELECT[installation.layout]} FROM {installation.table('cases')} AS c "
        f"WHERE c.clinic_id = :clinic_id AND {where}"
    )
    is_deployed = installation.layout is Layout.DEPLOYED
    appointment_of = appointment_of_external_id if is_deployed else appointment_of_pims_id
    for row in streamed(connection, query, {"clinic_id": clinic_id, **parameters}):
        appointment_id = appointment_of(row.external_id)
        if appointment_id is not None:
            yield _case(row, appointment_id)


def _case(row: Row[Any], appointment_id: str) -> TheirCase:
    return TheirCase(
        case_id=row.id,
        appointment_id=appointment_id,
        source=row.source,
        scheduled_at=row.scheduled_at,
        scheduled_date=row.scheduled_date,
        status=row.status,
        case_type=row.case_type,
        has_mark=row.has_mark,
        has_consultation=row.has_consultation,
        status_word=row.status_word,
        type_word=row.type_word,
        created_at=row.created_at,
    )


def last_syncs_there(
    connection: Connection, installation: Installation, clinic_id: UUID
) -> dict[Phase, datetime]:
    """By phase when the last sync of the v4.0 service that completed began.

    A table without that time gives when it was recorded; without any time, nothing.
    """
    table = "case_sync_audits"
    if not installation.has(table) or not installation.has(table, "clinic_id"):
        return {}
    times = [
        installation.column(table, "a", name, "timestamptz")
        for name in ("started_at", "created_at")
    ]
    began = moment(f"coalesce({', '.join(times)})")
    rows = connection.execute(
        text(
            f"""
            SELECT CAST(a.sync_type AS text) AS phase, max({began}) AS began
            FROM {installation.table(table)} AS a
            WHERE a.clinic_id = :clinic_id AND CAST(a.status AS text) = 'completed'
            GROUP BY 1
            """  # noqa: S608 - quoted
        ),
        {"clinic_id": clinic_id},
    )
    return {Phase(row.phase): row.began for row in rows if row.phase in set(Phase) and row.began}
