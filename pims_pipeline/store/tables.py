"""Every table of the store, as SQLAlchemy Core metadata.

Only shapes live here: columns, keys, checks, indexes. How the shapes came to be is told by
the migrations, which alone may create them; what is read and written, by the modules named
after each noun. Triggers stand in the migrations too, since metadata cannot hold them.

Moments are ``timestamptz``; business dates are ``date``, in the clinic's own zone.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from pims_pipeline.domain.alerts import AlertKind
from pims_pipeline.domain.clinics import SLUG_PATTERN
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.holds import HoldStatus
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import PHASES, SCOPES, Phase
from pims_pipeline.domain.records.cases import CaseStatus, CaseType, EventKind
from pims_pipeline.domain.requests import RequestStatus

DEFAULT_SCHEDULES = json.dumps({phase.value: names.schedule for phase, names in PHASES.items()})

_HOT = {"fillfactor": 80}
"""Room on each page for the next version of a row, so that an update touches no index."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    quoted = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({quoted})", name=column)


def _id() -> Column[Any]:
    return Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()"))


def _clinic_id() -> Column[Any]:
    return Column("clinic_id", Uuid, ForeignKey("clinics.id", ondelete="RESTRICT"), nullable=False)


def _audit_id() -> Column[Any]:
    return Column(
        "audit_id", Uuid, ForeignKey("case_sync_audits.id", ondelete="RESTRICT"), nullable=False
    )


def _words(name: str, *, nullable: bool = False, default: str | None = None) -> Column[Any]:
    shown = None if default is None else text(f"'{default}'")
    return Column(name, Text, nullable=nullable, server_default=shown)


def _moment(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _made_now(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("now()"))


def _day(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Date, nullable=nullable)


def _number(name: str, default: int = 0) -> Column[Any]:
    return Column(name, Integer, nullable=False, server_default=text(str(default)))


def _yes(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False, server_default=text("true"))


clinics = Table(
    "clinics",
    metadata,
    _id(),
    _words("slug"),
    _words("name"),
    _words("timezone"),
    _words("provider_type"),
    _words("provider_base_url"),
    _yes("is_active"),
    _made_now("created_at"),
    _made_now("updated_at"),
    # Set by a trigger when the zone changes or the clinic is activated again: no tick of its
    # schedules before this counts.
    _made_now("scheduled_since"),
    UniqueConstraint("slug"),
    CheckConstraint(f"slug ~ '^{SLUG_PATTERN.pattern}$'", name="slug"),
)

clinic_schedule_configs = Table(
    "clinic_schedule_configs",
    metadata,
    Column(
        "clinic_id",
        Uuid,
        ForeignKey("clinics.id", ondelete="RESTRICT"),
        primary_key=True,
    ),
    Column(
        "sync_schedules",
        JSONB,
        nullable=False,
        server_default=text(f"'{DEFAULT_SCHEDULES}'::jsonb"),
    ),
    _number("days_ahead", 7),
    _number("lookback_days", 7),
    _number("parallel_batch_size", 5),
    _made_now("updated_at"),
    # By phase, when its cron expression was last changed; kept by a trigger, so that edits by
    # hand count too. No tick before this counts.
    Column("schedules_changed_at", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    CheckConstraint("jsonb_typeof(sync_schedules) = 'object'", name="sync_schedules"),
    CheckConstraint("days_ahead >= 0", name="days_ahead"),
    CheckConstraint("lookback_days >= 0", name="lookback_days"),
    CheckConstraint("parallel_batch_size >= 1", name="parallel_batch_size"),
)

pims_credentials = Table(
    "pims_credentials",
    metadata,
    _id(),
    _clinic_id(),
    _words("provider_type"),
    Column("encrypted_data", LargeBinary, nullable=False),
    _words("key_id"),
    _words("status", default=CredentialStatus.UNVERIFIED),
    _made_now("created_at"),
    _made_now("updated_at"),
    UniqueConstraint("clinic_id", "provider_type"),
    _one_of("status", CredentialStatus),
)

pims_sessions = Table(
    "pims_sessions",
    metadata,
    _clinic_id(),
    _words("provider_type"),
    Column("encrypted_data", LargeBinary, nullable=False),
    _words("key_id"),
    _moment("expires_at"),
    _made_now("created_at"),
    _moment("last_used_at", nullable=True),
    PrimaryKeyConstraint("clinic_id", "provider_type"),
)

credential_access_log = Table(
    "credential_access_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _clinic_id(),
    _words("provider_type"),
    _words("purpose"),
    _words("run_id", nullable=True),
    _made_now("accessed_at"),
    Index(None, "clinic_id", "accessed_at"),
)

clinic_api_keys = Table(
    "clinic_api_keys",
    metadata,
    _id(),
    _clinic_id(),
    _words("name"),
    Column("key_prefix", CHAR(8), nullable=False),
    Column("key_hash", CHAR(64), nullable=False),
    Column("permissions", ARRAY(Text), nullable=True),
    _yes("is_active"),
    _moment("expires_at", nullable=True),
    _moment("last_used_at", nullable=True),
    _made_now("created_at"),
    UniqueConstraint("key_prefix"),
    Index(None, "clinic_id"),
)

case_sync_audits = Table(
    "case_sync_audits",
    metadata,
    _id(),
    _clinic_id(),
    _words("sync_type"),
    _words("status", default=AuditStatus.IN_PROGRESS.value),
    _day("window_start"),
    _day("window_end"),
    _words("run_id"),
    # The lease of the process that works on it: see store/database/leases.py.
    Column("owner", Integer, nullable=False),
    _moment("fetched_at", nullable=True),
    _number("items_done"),
    _number("items_total"),
    _number("appointments_found"),
    _number("cases_created"),
    _number("cases_updated"),
    _number("cases_unchanged"),
    _number("cases_restored"),
    _number("cases_deleted"),
    _number("cases_enriched"),
    _number("cases_skipped"),
    _number("cases_blocked"),
    _number("cases_errored"),
    _number("cases_held"),
    _number("quarantined"),
    # Fields that could not be read: paths, JSON types and counts, never what they held.
    Column("oddities", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    # The name of the error's class, as in sync_failures; what reads it never reads the message.
    _words("error_class", nullable=True),
    _words("error_message", nullable=True),
    _made_now("created_at"),
    _made_now("updated_at"),
    Column("duration_ms", BigInteger, nullable=True),
    # Rows of the clinic whose moments lay in the future when the phase began.
    _number("moments_repaired"),
    # The rejected hold because of which missing cases stayed.
    Column(
        "kept_by_hold_id",
        Uuid,
        ForeignKey("reconciliation_holds.id", ondelete="RESTRICT"),
        nullable=True,
    ),
    _one_of("sync_type", Phase),
    _one_of("status", AuditStatus),
    CheckConstraint("window_start <= window_end", name="window"),
    Index(None, "run_id"),
    Index(None, "updated_at"),
    Index(
        "ix_case_sync_audits_in_progress",
        "clinic_id",
        postgresql_where=text("status = 'in_progress'"),
    ),
    Index(
        "ix_case_sync_audits_completed",
        "clinic_id",
        "sync_type",
        "updated_at",
        postgresql_where=text("status = 'completed'"),
    ),
)
Index(
    "ix_case_sync_audits_latest",
    case_sync_audits.c.clinic_id,
    case_sync_audits.c.sync_type,
    case_sync_audits.c.created_at.desc(),
)

pims_appointments = Table(
    "pims_appointments",
    metadata,
    _clinic_id(),
    _words("provider_type"),
    _words("pims_id"),
    # The vendor's identity, where it gave one to several appointments.
    _words("series_id", nullable=True),
    _day("business_date"),
    _moment("scheduled_start"),
    Column("payload", JSONB, nullable=False),
    _words("digest"),
    # When the payload that stands was fetched.
    _moment("fetched_at"),
    _moment("first_seen_at"),
    _moment("last_seen_at"),
    # When the first complete listing that lacked it was fetched; cleared when it is seen.
    _moment("missing_since", nullable=True),
    # When it was confirmed to be gone.
    _moment("removed_at", nullable=True),
    # When its consultation was last asked for.
    _moment("consultation_checked_at", nullable=True),
    # What its words meant when its case last followed them; not known of records landed
    # before this was remembered.
    _words("meant_status", nullable=True),
    _words("meant_type", nullable=True),
    _audit_id(),
    _one_of("meant_status", CaseStatus),
    _one_of("meant_type", CaseType),
    CheckConstraint("(meant_status IS NULL) = (meant_type IS NULL)", name="meaning"),
    PrimaryKeyConstraint("clinic_id", "provider_type", "pims_id"),
    Index(None, "clinic_id", "provider_type", "business_date"),
    Index(
        "ix_pims_appointments_series",
        "clinic_id",
        "provider_type",
        "series_id",
        postgresql_where=text("series_id IS NOT NULL"),
    ),
    postgresql_with=_HOT,
)

cases = Table(
    "cases",
    metadata,
    _id(),
    _clinic_id(),
    _words("provider_type", nullable=True),
    _words("pims_id", nullable=True),
    _words("patient_name"),
    _words("patient_species", nullable=True),
    _words("client_name"),
    _words("client_phone", nullable=True),
    _day("scheduled_date"),
    _moment("scheduled_start", nullable=True),
    _moment("scheduled_end", nullable=True),
    _words("status", default=CaseStatus.DRAFT.value),
    _words("case_type", default=CaseType.CHECKUP.value),
    _words("visibility", default="private"),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _made_now("created_at"),
    _made_now("updated_at"),
    # Cases made by people have no pims_id; NULLs never collide.
    UniqueConstraint("clinic_id", "provider_type", "pims_id"),
    _one_of("status", CaseStatus),
    _one_of("case_type", CaseType),
    CheckConstraint(
        "pims_id IS NULL OR (provider_type IS NOT NULL "
        "AND scheduled_start IS NOT NULL AND scheduled_end IS NOT NULL)",
        name="synced",
    ),
    Index(None, "clinic_id", "scheduled_date"),
    postgresql_with=_HOT,
)

case_events = Table(
    "case_events",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    _clinic_id(),
    # No foreign key: a case's story must be able to outlive the case.
    Column("case_id", Uuid, nullable=False),
    _audit_id(),
    _words("run_id"),
    _words("partition_key"),
    _words("kind"),
    Column("changes", JSONB, nullable=False),
    _words("source_digest", nullable=True),
    _moment("occurred_at"),
    _one_of("kind", EventKind),
    Index(None, "case_id", "seq"),
    Index(None, "audit_id"),
)

sync_failures = Table(
    "sync_failures",
    metadata,
    _id(),
    _clinic_id(),
    _words("provider_type"),
    _words("phase"),
    # What names the record across listings, also when its identity cannot be read.
    _words("record_key"),
    _words("pims_id", nullable=True),
    _day("business_date", nullable=True),
    _day("window_start", nullable=True),
    _day("window_end", nullable=True),
    _number("attempts", 1),
    _words("error_class"),
    _words("error_message"),
    _moment("first_failed_at"),
    _moment("last_failed_at"),
    _moment("next_retry_at", nullable=True),
    _moment("resolved_at", nullable=True),
    _one_of("phase", Phase),
    CheckConstraint("attempts >= 1", name="attempts"),
    CheckConstraint(
        "(window_start IS NULL) = (window_end IS NULL) AND window_start <= window_end",
        name="window",
    ),
    Index(
        "uq_sync_failures_open",
        "clinic_id",
        "provider_type",
        "phase",
        "record_key",
        unique=True,
        postgresql_where=text("resolved_at IS NULL"),
    ),
)

reconciliation_holds = Table(
    "reconciliation_holds",
    metadata,
    _id(),
    _clinic_id(),
    _day("window_start"),
    _day("window_end"),
    _words("reason"),
    Column("plan", JSONB, nullable=False),
    _number("cases_active"),
    _number("cases_orphaned"),
    _words("status", default=HoldStatus.OPEN),
    _words("decided_by", nullable=True),
    _moment("decided_at", nullable=True),
    _made_now("created_at"),
    _one_of("status", HoldStatus),
    CheckConstraint("window_start <= window_end", name="window"),
    Index(None, "clinic_id", "status"),
)

sync_requests = Table(
    "sync_requests",
    metadata,
    # The syncId; the first audit of the run it starts has the same id.
    _id(),
    _clinic_id(),
    Column(
        "api_key_id", Uuid, ForeignKey("clinic_api_keys.id", ondelete="RESTRICT"), nullable=False
    ),
    _words("scope"),
    _day("window_start"),
    _day("window_end"),
    Column("options", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _words("status", default="launching"),
    _words("run_id", nullable=True),
    _made_now("created_at"),
    _moment("launched_at", nullable=True),
    _one_of("scope", SCOPES),
    _one_of("status", RequestStatus),
    CheckConstraint("(status = 'launched') = (run_id IS NOT NULL)", name="run"),
    CheckConstraint("window_start <= window_end", name="window"),
    Index(None, "run_id"),
)
Index(
    "ix_sync_requests_newest",
    sync_requests.c.clinic_id,
    sync_requests.c.created_at.desc(),
    sync_requests.c.id.desc(),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    _clinic_id(),
    _words("key"),
    # SHA-256 of method, path and body.
    Column("request_hash", CHAR(64), nullable=False),
    Column("sync_id", Uuid, ForeignKey("sync_requests.id", ondelete="CASCADE"), nullable=False),
    _made_now("created_at"),
    _moment("expires_at"),
    PrimaryKeyConstraint("clinic_id", "key"),
    CheckConstraint("length(key) BETWEEN 1 AND 255", name="key"),
    Index(None, "expires_at"),
    Index(None, "sync_id"),
)

alerts = Table(
    "alerts",
    metadata,
    _id(),
    _clinic_id(),
    _words("kind"),
    # What of the clinic it is about: a phase, the id of a hold or a record; empty for all of it.
    _words("subject", default=""),
    # Ids and counts alone.
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _moment("opened_at"),
    _moment("ended_at", nullable=True),
    # When people were told; until then the alert waits to be sent.
    _moment("opening_sent_at", nullable=True),
    _moment("ending_sent_at", nullable=True),
    # Until when a process has to send it, by the database's clock.
    _moment("claimed_until", nullable=True),
    _one_of("kind", AlertKind),
    CheckConstraint("ended_at >= opened_at", name="ended_at"),
    Index(
        "uq_alerts_open",
        "clinic_id",
        "kind",
        "subject",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_alerts_unsent",
        "opened_at",
        postgresql_where=text(
            "opening_sent_at IS NULL OR (ended_at IS NOT NULL AND ending_sent_at IS NULL)"
        ),
    ),
)

schedule_skips = Table(
    "schedule_skips",
    metadata,
    _clinic_id(),
    _words("sync_type"),
    # Ticks at which a run of the phase was still going.
    _number("skipped"),
    # Those of them since the phase last ran by schedule.
    _number("in_a_row"),
    _moment("last_skipped_at"),
    PrimaryKeyConstraint("clinic_id", "sync_type"),
    _one_of("sync_type", Phase),
)

run_leases = Table(
    "run_leases",
    metadata,
    # The owner that the run's audits name.
    Column("owner", Integer, primary_key=True, autoincrement=False),
    _made_now("renewed_at"),
    _moment("expires_at"),
)

login_leases = Table(
    "login_leases",
    metadata,
    _clinic_id(),
    _words("provider_type"),
    # The conversation that logs in.
    Column("holder", Uuid, nullable=False),
    _made_now("renewed_at"),
    _moment("expires_at"),
    PrimaryKeyConstraint("clinic_id", "provider_type"),
)
