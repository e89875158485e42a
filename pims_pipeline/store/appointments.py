"""The landed calendar: the newest record of each appointment, and when it was seen.

Times are those at which listings were *fetched* (before the request was sent), never those of
writing, so that a late write of an older listing does not count as newer.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.planning.landed_records import KnownRecord, Landing
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    Proof,
    Snapshot,
)
from pims_pipeline.domain.records.words import CaseStatus, CaseType, Meaning
from pims_pipeline.store.cases.reading import landed_appointment, load_cases
from pims_pipeline.store.database.batches import Columns, array_literal, execute_batches

_KNOWN_RECORDS = text(
    """
    SELECT pims_id, series_id, business_date, scheduled_start, digest, last_seen_at,
           missing_since, removed_at, meant_status, meant_type, resources, left_out,
           followed_digest,
           -- What the case last followed; not what changed while it was left out.
           payload ->> 'kind' = 'appointment' AND followed_digest IS NULL AS is_appointment,
           payload #>> '{patient,id}' AS patient_id,
           payload #>> '{patient,name}' AS patient_name,
           payload #>> '{client,id}' AS client_id,
           payload #>> '{client,name}' AS client_name
    FROM pims_appointments
    WHERE clinic_id = :clinic_id AND provider_type = :provider_type
      AND (business_date BETWEEN :start AND :end
           OR pims_id = ANY(CAST(:pims_ids AS text[]))
           OR series_id = ANY(CAST(:pims_ids AS text[])))
      AND pims_id <> ALL(CAST(:but AS text[]))
    """
)


def known_records(
    connection: Connection,
    clinic: Clinic,
    window: DateRange,
    pims_ids: Collection[str],
    *,
    but: Collection[str] = (),
) -> dict[str, KnownRecord]:
    """The landed records of the given identities, and all of the window except ``but``.

    An identity that the vendor gave to several appointments includes all of them.
    """
    landed = connection.execute(
        _KNOWN_RECORDS,
        {
            **_of(clinic),
            "start": window.start,
            "end": window.end,
            "pims_ids": array_literal(pims_ids),
            "but": array_literal(but),
        },
    ).all()
    cases = load_cases(connection, clinic, {*pims_ids, *(row.pims_id for row in landed)})
    known = {
        row.pims_id: KnownRecord(
            pims_id=row.pims_id,
            series_id=row.series_id,
            business_date=row.business_date,
            scheduled_start=row.scheduled_start,
            digest=row.digest,
            last_seen_at=row.last_seen_at,
            missing_since=row.missing_since,
            removed_at=row.removed_at,
            case=cases.get(row.pims_id),
            patient=Patient(row.patient_id, row.patient_name) if row.is_appointment else None,
            client=Client(row.client_id, row.client_name) if row.is_appointment else None,
            meaning=Meaning(CaseStatus(row.meant_status), CaseType(row.meant_type))
            if row.meant_status
            else None,
            resources=None if row.resources is None else tuple(row.resources),
            left_out=row.left_out,
            followed_digest=row.followed_digest,
        )
        for row in landed
    }
    for pims_id, case in cases.items():
        if pims_id not in known:
            known[pims_id] = KnownRecord(pims_id=pims_id, case=case)
    return known


def _array(values: Sequence[str] | None) -> str | None:
    return None if values is None else array_literal(values)


_LANDING_COLUMNS: Columns = {
    "pims_id": ("text", attrgetter("appointment.appointment_id")),
    "series_id": ("text", attrgetter("appointment.series_id")),
    "business_date": ("date", attrgetter("appointment.business_date")),
    "scheduled_start": ("timestamptz", attrgetter("appointment.scheduled_start")),
    "payload": ("text", attrgetter("payload")),
    "digest": ("text", attrgetter("digest")),
    "meant_status": ("text", lambda landing: landing.meaning and landing.meaning.status),
    "meant_type": ("text", lambda landing: landing.meaning and landing.meaning.case_type),
    "resources": ("text", lambda landing: _array(landing.appointment.resources)),
    "left_out": ("boolean", attrgetter("appointment.left_out")),
}
_RESOURCES = "CAST(r.resources AS text[])"
"""Of a row, where it is the text of an array: an array of arrays has rows of one length."""


def land(
    connection: Connection,
    clinic: Clinic,
    landings: Iterable[Landing],
    *,
    fetched_at: datetime,
    audit_id: UUID,
) -> None:
    """Store records that are new or changed."""
    execute_batches(
        connection,
        f"""
        INSERT INTO pims_appointments AS landed (
            clinic_id, provider_type, pims_id, series_id, business_date, scheduled_start,
            payload, digest, meant_status, meant_type, resources, left_out, followed_digest,
            fetched_at, first_seen_at, last_seen_at, audit_id)
        SELECT :clinic_id, :provider_type, r.pims_id, r.series_id, r.business_date,
               r.scheduled_start, CAST(r.payload AS jsonb), r.digest, r.meant_status,
               r.meant_type, {_RESOURCES}, r.left_out, CASE WHEN r.left_out THEN '' END,
               :fetched_at, :fetched_at, :fetched_at, :audit_id
        FROM {{rows}}
        ON CONFLICT (clinic_id, provider_type, pims_id) DO UPDATE SET
            series_id = excluded.series_id,
            business_date = excluded.business_date,
            scheduled_start = excluded.scheduled_start,
            payload = excluded.payload,
            digest = excluded.digest,
            resources = excluded.resources,
            left_out = excluded.left_out,
            followed_digest = CASE WHEN excluded.left_out
                THEN coalesce(landed.followed_digest, landed.digest) END,
            -- A record that makes no case for a while leaves its case as it is.
            meant_status = coalesce(excluded.meant_status, landed.meant_status),
            meant_type = coalesce(excluded.meant_type, landed.meant_type),
            fetched_at = excluded.fetched_at,
            last_seen_at = excluded.last_seen_at,
            missing_since = NULL,
            removed_at = NULL,
            audit_id = excluded.audit_id
        """,  # noqa: S608 - a fixed expression
        _LANDING_COLUMNS,
        landings,
        {**_of(clinic), "fetched_at": fetched_at, "audit_id": audit_id},
    )


def place(connection: Connection, clinic: Clinic, placed: Iterable[Landing]) -> None:
    """Note the resources of unchanged records, and whether they are left out."""
    execute_batches(
        connection,
        f"""
        UPDATE pims_appointments AS landed
        SET resources = {_RESOURCES}, left_out = r.left_out,
            followed_digest = CASE WHEN r.left_out THEN landed.followed_digest END
        FROM {{rows}}
        WHERE landed.clinic_id = :clinic_id AND landed.provider_type = :provider_type
          AND landed.pims_id = r.pims_id
        """,  # noqa: S608 - a fixed expression
        {name: _LANDING_COLUMNS[name] for name in ("pims_id", "resources", "left_out")},
        placed,
        _of(clinic),
    )


def mark_left_out(connection: Connection, clinic: Clinic, pims_ids: Collection[str]) -> None:
    """Note that the clinic does not sync the resources of these appointments."""
    if not pims_ids:
        return
    connection.execute(
        text(
            """
            UPDATE pims_appointments SET left_out = true
            WHERE clinic_id = :clinic_id AND provider_type = :provider_type
              AND pims_id = ANY(CAST(:pims_ids AS text[])) AND NOT left_out
            """
        ),
        {**_of(clinic), "pims_ids": array_literal(pims_ids)},
    )


def mark_seen(
    connection: Connection, clinic: Clinic, pims_ids: Collection[str], seen_at: datetime
) -> None:
    """Note that a listing fetched at ``seen_at`` held these appointments."""
    if not pims_ids:
        return
    connection.execute(
        text(
            """
            UPDATE pims_appointments
            SET last_seen_at = :seen_at, missing_since = NULL, removed_at = NULL
            WHERE clinic_id = :clinic_id AND provider_type = :provider_type
              AND pims_id = ANY(CAST(:pims_ids AS text[])) AND last_seen_at < :seen_at
            """
        ),
        {**_of(clinic), "pims_ids": array_literal(pims_ids), "seen_at": seen_at},
    )


def mark_window_seen(
    connection: Connection,
    clinic: Clinic,
    window: DateRange,
    seen_at: datetime,
    *,
    but: Collection[str],
) -> None:
    """Note that a listing fetched at ``seen_at`` held all the window's landed appointments.

    Args:
        connection: In the transaction that read what is landed, under the clinic's lock.
        clinic: Whose calendar.
        window: Its business dates.
        seen_at: Aware UTC.
        but: The appointments to leave as they are.
    """
    connection.execute(
        text(
            """
            UPDATE pims_appointments
            SET last_seen_at = :seen_at, missing_since = NULL, removed_at = NULL
            WHERE clinic_id = :clinic_id AND provider_type = :provider_type
              AND business_date BETWEEN :start AND :end AND last_seen_at < :seen_at
              AND pims_id <> ALL(CAST(:but AS text[]))
            """
        ),
        {
            **_of(clinic),
            "start": window.start,
            "end": window.end,
            "seen_at": seen_at,
            "but": array_literal(but),
        },
    )


def mark_missing(
    connection: Connection, clinic: Clinic, pims_ids: Collection[str], since: datetime
) -> None:
    """Note that the complete listing of ``since`` was the first to lack these appointments."""
    if not pims_ids:
        return
    connection.execute(
        text(
            """
            UPDATE pims_appointments SET missing_since = :since
            WHERE clinic_id = :clinic_id AND provider_type = :provider_type
              AND pims_id = ANY(:pims_ids) AND missing_since IS NULL AND removed_at IS NULL
            """
        ),
        {**_of(clinic), "pims_ids": list(pims_ids), "since": since},
    )


def mark_removed(connection: Connection, clinic: Clinic, gone: Mapping[str, datetime]) -> None:
    """Note when these appointments were confirmed to be gone at the vendor."""
    execute_batches(
        connection,
        """
        UPDATE pims_appointments AS landed SET removed_at = r.gone_at
        FROM {rows}
        WHERE landed.clinic_id = :clinic_id AND landed.provider_type = :provider_type
          AND landed.pims_id = r.pims_id
        """,
        {"pims_id": ("text", itemgetter(0)), "gone_at": ("timestamptz", itemgetter(1))},
        gone.items(),
        _of(clinic),
    )


def mark_checked(connection: Connection, clinic: Clinic, checked: Mapping[str, datetime]) -> None:
    """Note when these appointments' consultations were last requested."""
    execute_batches(
        connection,
        """
        UPDATE pims_appointments AS landed
        SET consultation_checked_at = greatest(landed.consultation_checked_at, r.checked_at)
        FROM {rows}
        WHERE landed.clinic_id = :clinic_id AND landed.provider_type = :provider_type
          AND landed.pims_id = r.pims_id
        """,
        {"pims_id": ("text", itemgetter(0)), "checked_at": ("timestamptz", itemgetter(1))},
        checked.items(),
        _of(clinic),
    )


def forget_checks(connection: Connection, clinic: Clinic, pims_ids: Collection[str]) -> None:
    """Reset these appointments, so that their consultations are requested again."""
    if not pims_ids:
        return
    connection.execute(
        text(
            """
            UPDATE pims_appointments SET consultation_checked_at = NULL
            WHERE clinic_id = :clinic_id AND provider_type = :provider_type
              AND pims_id = ANY(:pims_ids) AND consultation_checked_at IS NOT NULL
            """
        ),
        {**_of(clinic), "pims_ids": list(pims_ids)},
    )


def remember_meanings(
    connection: Connection, clinic: Clinic, meanings: Mapping[str, Meaning]
) -> None:
    """Note what the status and type of these unchanged appointments now mean."""
    execute_batches(
        connection,
        """
        UPDATE pims_appointments AS landed
        SET meant_status = r.meant_status, meant_type = r.meant_type
        FROM {rows}
        WHERE landed.clinic_id = :clinic_id AND landed.provider_type = :provider_type
          AND landed.pims_id = r.pims_id
        """,
        {
            "pims_id": ("text", itemgetter(0)),
            "meant_status": ("text", lambda item: item[1].status),
            "meant_type": ("text", lambda item: item[1].case_type),
        },
        meanings.items(),
        _of(clinic),
    )


def stored_snapshot(
    connection: Connection,
    clinic: Clinic,
    window: DateRange,
    *,
    fetched_at: datetime | None = None,
) -> Snapshot:
    """The window's calendar as it was landed: every record not known to be missing or gone.

    Args:
        connection: In a transaction.
        clinic: Whose calendar.
        window: Which business dates of it.
        fetched_at: When the landed listing was fetched; by default the latest time at which
            any of the records was seen.
    """
    rows = connection.execute(
        text(
            """
            SELECT payload, resources, left_out, last_seen_at FROM pims_appointments
            WHERE clinic_id = :clinic_id AND provider_type = :provider_type
              AND business_date BETWEEN :start AND :end
              AND missing_since IS NULL AND removed_at IS NULL
            ORDER BY scheduled_start, pims_id
            """
        ),
        {**_of(clinic), "start": window.start, "end": window.end},
    ).all()
    seen = max((row.last_seen_at for row in rows), default=datetime.min.replace(tzinfo=UTC))
    return Snapshot(
        window=window,
        appointments=tuple(map(landed_appointment, rows)),
        fetched_at=fetched_at or seen,
        proof=Proof.LANDED,
    )


def _of(clinic: Clinic) -> dict[str, Any]:
    return {"clinic_id": clinic.id, "provider_type": clinic.provider_type}
