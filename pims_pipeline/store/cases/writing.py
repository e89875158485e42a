"""Write cases exactly as a plan says.

A write touches only what the sync owns: the vendor's fields, ``metadata.appointment``,
``metadata.consultation`` and ``metadata.reconciliation``. It keeps other keys of ``metadata``,
and a status or type that a user sets, also when they change while a sync runs.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.planning.case_writes import CaseWrite
from pims_pipeline.domain.planning.enrichment import ConsultationWrite
from pims_pipeline.domain.planning.retirement import Retirement
from pims_pipeline.domain.records.canonical import canonical_json
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.cases.metadata import OBJECT
from pims_pipeline.store.database.batches import Columns, execute_batches

_WRITE_COLUMNS: Columns = {
    "id": ("uuid", attrgetter("case_id")),
    "pims_id": ("text", attrgetter("pims_id")),
    "patient_name": ("text", attrgetter("draft.patient_name")),
    "patient_species": ("text", attrgetter("draft.patient_species")),
    "client_name": ("text", attrgetter("draft.client_name")),
    "client_phone": ("text", attrgetter("draft.client_phone")),
    "scheduled_date": ("date", attrgetter("draft.scheduled_date")),
    "scheduled_start": ("timestamptz", attrgetter("draft.scheduled_start")),
    "scheduled_end": ("timestamptz", attrgetter("draft.scheduled_end")),
    "status": ("text", attrgetter("status")),
    "case_type": ("text", attrgetter("case_type")),
    "facts": ("text", lambda write: canonical_json(write.draft.facts)),
    "drops_consultation": ("boolean", attrgetter("drops_consultation")),
    "drops_reconciliation": ("boolean", attrgetter("drops_reconciliation")),
}


def write_cases(
    connection: Connection, clinic: Clinic, writes: Sequence[CaseWrite], now: datetime
) -> None:
    """Insert the created cases and bring the others in line with their appointment."""
    parameters = {"clinic_id": clinic.id, "provider_type": clinic.provider_type, "now": now}
    execute_batches(
        connection,
        """
        INSERT INTO cases (
            id, clinic_id, provider_type, pims_id, patient_name, patient_species, client_name,
            client_phone, scheduled_date, scheduled_start, scheduled_end, status, case_type,
            metadata, created_at, updated_at)
        SELECT r.id, :clinic_id, :provider_type, r.pims_id, r.patient_name, r.patient_species,
               r.client_name, r.client_phone, r.scheduled_date, r.scheduled_start,
               r.scheduled_end, r.status, r.case_type,
               jsonb_build_object('appointment', CAST(r.facts AS jsonb)), :now, :now
        FROM {rows}
        """,
        _WRITE_COLUMNS,
        (write for write in writes if write.kind is EventKind.CREATED),
        parameters,
    )
    execute_batches(
        connection,
        f"""
        UPDATE cases AS c SET
            patient_name = r.patient_name,
            patient_species = r.patient_species,
            client_name = r.client_name,
            client_phone = r.client_phone,
            scheduled_date = r.scheduled_date,
            scheduled_start = r.scheduled_start,
            scheduled_end = r.scheduled_end,
            status = coalesce(r.status, c.status),
            case_type = coalesce(r.case_type, c.case_type),
            metadata = {OBJECT}
                       - array_remove(ARRAY[
                             CASE WHEN r.drops_consultation THEN 'consultation' END,
                             CASE WHEN r.drops_reconciliation THEN 'reconciliation' END], NULL)
                       || jsonb_build_object('appointment', CAST(r.facts AS jsonb)),
            updated_at = :now
        FROM {{rows}}
        WHERE c.id = r.id AND c.clinic_id = :clinic_id AND c.provider_type = :provider_type
        """,  # noqa: S608 - fixed expression
        _WRITE_COLUMNS,
        (write for write in writes if write.kind is not EventKind.CREATED),
        parameters,
    )


def write_consultations(
    connection: Connection, clinic: Clinic, writes: Iterable[ConsultationWrite], now: datetime
) -> None:
    """Put consultations on their cases."""
    execute_batches(
        connection,
        f"""
        UPDATE cases AS c SET
            metadata = {OBJECT}
                       || jsonb_build_object('consultation', CAST(r.consultation AS jsonb)),
            patient_species = coalesce(r.patient_species, c.patient_species),
            updated_at = :now
        FROM {{rows}}
        WHERE c.id = r.id AND c.clinic_id = :clinic_id
        """,  # noqa: S608 - fixed expression
        {
            "id": ("uuid", attrgetter("case.case_id")),
            "consultation": ("text", lambda write: canonical_json(write.metadata)),
            "patient_species": ("text", attrgetter("patient_species")),
        },
        writes,
        {"clinic_id": clinic.id, "now": now},
    )


def retire_cases(
    connection: Connection, clinic: Clinic, retirements: Iterable[Retirement], now: datetime
) -> None:
    """Soft-delete cases; their rows stay."""
    execute_batches(
        connection,
        f"""
        UPDATE cases AS c SET
            status = 'reviewed',
            metadata = {OBJECT} || jsonb_build_object('reconciliation', jsonb_build_object(
                'softDeleted', true, 'reason', r.reason, 'deletedAt', CAST(:deleted_at AS text))),
            updated_at = :now
        FROM {{rows}}
        WHERE c.id = r.id AND c.clinic_id = :clinic_id
        """,  # noqa: S608 - fixed expression
        {
            "id": ("uuid", attrgetter("case.id")),
            "reason": ("text", attrgetter("reason")),
        },
        retirements,
        {"clinic_id": clinic.id, "now": now, "deleted_at": now.isoformat()},
    )
