"""Clinics' own words: reading and writing their log, and which words the landed records have.

What words mean belongs in ``pims_pipeline.domain.records``.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.clinic_words import LoggedChange, WordChange
from pims_pipeline.domain.records.word_uses import SeenWords
from pims_pipeline.domain.records.words import CaseType, WordKind
from pims_pipeline.store.tables.clinics import clinic_words, clinics

_FOLLOWING = (Phase.INBOUND, Phase.CASES)
"""The phases that give cases what the words of their window's landed records mean."""


def word_log(connection: Connection, clinic: Clinic) -> list[LoggedChange]:
    """Every change of the clinic's own words, oldest first."""
    table = clinic_words
    rows = connection.execute(
        select(table.c.kind, table.c.word, table.c.meaning, table.c.changed_by, table.c.changed_at)
        .where(table.c.clinic_id == clinic.id)
        .order_by(table.c.seq)
    )
    return [
        LoggedChange(
            change=WordChange(
                kind := WordKind(row.kind),
                row.word,
                None if row.meaning is None else kind.meaning(row.meaning),
            ),
            changed_by=row.changed_by,
            changed_at=row.changed_at,
        )
        for row in rows
    ]


def lock_words(connection: Connection, clinic: Clinic) -> None:
    """Lock the clinic's words against other changes until the transaction ends; no sync waits."""
    connection.execute(
        select(clinics.c.id).where(clinics.c.id == clinic.id).with_for_update(key_share=True)
    )


def log_words(
    connection: Connection, clinic: Clinic, changes: Sequence[WordChange], changed_by: str
) -> None:
    """Store the changes; the clinic's words are locked."""
    if changes:
        connection.execute(
            insert(clinic_words),
            [
                {
                    "clinic_id": clinic.id,
                    "kind": each.kind,
                    "word": each.word,
                    "meaning": each.meaning,
                    "changed_by": changed_by,
                }
                for each in changes
            ],
        )


def words_followed_at(connection: Connection, clinic: Clinic, window: DateRange) -> datetime | None:
    """When the latest phase began after which the window's cases followed the words of then.

    None if no phase covered all of it.
    """
    found: datetime | None = connection.scalar(
        text(
            """
            SELECT max(created_at) FROM case_sync_audits
            WHERE clinic_id = :clinic_id AND status = :completed AND sync_type = ANY(:phases)
              AND window_start <= :start AND window_end >= :end
            """
        ),
        {
            "clinic_id": clinic.id,
            "completed": AuditStatus.COMPLETED.value,
            "phases": [each.value for each in _FOLLOWING],
            "start": window.start,
            "end": window.end,
        },
    )
    return found


def seen_words(connection: Connection, clinic: Clinic) -> list[SeenWords]:
    """The words of all synced appointments that are landed and at the vendor."""
    rows = connection.execute(
        text(
            """
            SELECT coalesce(payload ->> 'status', '') AS status,
                   payload ->> 'appointmentType' AS appointment_type,
                   payload ->> 'statedType' AS stated_type,
                   count(*) AS appointments, max(business_date) AS last_date
            FROM pims_appointments
            WHERE clinic_id = :clinic_id AND provider_type = :provider_type
              AND payload ->> 'kind' = 'appointment' AND NOT left_out
              AND missing_since IS NULL AND removed_at IS NULL
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """
        ),
        {"clinic_id": clinic.id, "provider_type": clinic.provider_type},
    )
    return [
        SeenWords(
            status=row.status,
            appointment_type=row.appointment_type,
            stated_type=CaseType(row.stated_type) if row.stated_type else None,
            appointments=row.appointments,
            last_date=row.last_date,
        )
        for row in rows
    ]
