"""The vendor's appointments, the cases made of them, and the events of each case."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline.store.tables.columns import (
    HOT_UPDATES,
    UPDATES_OF_ALL_ROWS,
    audit_id,
    business_date,
    clinic_id,
    false_by_default,
    id_column,
    metadata,
    one_of,
    text_array,
    text_column,
    timestamp,
    timestamp_now,
)

_NAMES = (
    "to_tsvector('simple'::regconfig, translate("
    "left(patient_name, 200) || ' ' || left(client_name, 200), "
    "'/.@_:+~&<>=?-', '             '))"
)
"""The words of a case's names. Signs that the parser takes for parts of addresses are spaces."""
_DIGITS = "left(reverse(regexp_replace(left(client_phone, 100), '[^0-9]', '', 'g')), 20)"
"""The digits of a case's phone number, from the last to the first."""

pims_appointments = Table(
    "pims_appointments",
    metadata,
    clinic_id(),
    text_column("provider_type"),
    text_column("pims_id"),
    # The vendor's identity, where it gave one to several appointments.
    text_column("series_id", nullable=True),
    business_date("business_date"),
    timestamp("scheduled_start"),
    Column("payload", JSONB, nullable=False),
    text_column("digest"),
    # When the present payload was fetched.
    timestamp("fetched_at"),
    timestamp("first_seen_at"),
    timestamp("last_seen_at"),
    # When the first complete listing that lacked it was fetched; cleared when it is seen.
    timestamp("missing_since", nullable=True),
    # When it was confirmed to be gone.
    timestamp("removed_at", nullable=True),
    # When its consultation was last requested.
    timestamp("consultation_checked_at", nullable=True),
    # What its status and type meant when its case last followed them; null for records that
    # were landed before these columns existed.
    text_column("meant_status", nullable=True),
    text_column("meant_type", nullable=True),
    # Its room, column and provider, such as room:11; null until it is listed with them.
    text_array("resources"),
    # Whether the clinic does not sync these: it makes no case.
    false_by_default("left_out"),
    # Of the record that its case follows, if this one changed while it was left out; empty if
    # this one always was.
    text_column("followed_digest", nullable=True),
    audit_id(),
    one_of("meant_status", CaseStatus),
    one_of("meant_type", CaseType),
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
    # Every listing marks all rows of its window as seen.
    postgresql_with=UPDATES_OF_ALL_ROWS,
)

cases = Table(
    "cases",
    metadata,
    id_column(),
    clinic_id(),
    text_column("provider_type", nullable=True),
    text_column("pims_id", nullable=True),
    text_column("patient_name"),
    text_column("patient_species", nullable=True),
    text_column("client_name"),
    text_column("client_phone", nullable=True),
    business_date("scheduled_date"),
    timestamp("scheduled_start", nullable=True),
    timestamp("scheduled_end", nullable=True),
    text_column("status", default=CaseStatus.DRAFT.value),
    text_column("case_type", default=CaseType.CHECKUP.value),
    text_column("visibility", default="private"),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    timestamp_now("created_at"),
    timestamp_now("updated_at"),
    # Cases that users create have no pims_id; NULLs never collide.
    UniqueConstraint("clinic_id", "provider_type", "pims_id"),
    one_of("status", CaseStatus),
    one_of("case_type", CaseType),
    CheckConstraint(
        "pims_id IS NULL OR (provider_type IS NOT NULL "
        "AND scheduled_start IS NOT NULL AND scheduled_end IS NOT NULL)",
        name="synced",
    ),
    Index(None, "clinic_id", "scheduled_date"),
    # What the console's search uses: see pims_find_cases of revision 0029.
    Index("ix_cases_names", text(_NAMES), postgresql_using="gin"),
    Index(
        "ix_cases_phone",
        text(f'({_DIGITS}) COLLATE "C"'),
        postgresql_where=text("client_phone IS NOT NULL"),
    ),
    Index("ix_cases_pims_id", "pims_id", postgresql_where=text("pims_id IS NOT NULL")),
    postgresql_with=HOT_UPDATES,
)

case_events = Table(
    "case_events",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    clinic_id(),
    # No foreign key: a case's events must be able to outlive the case.
    Column("case_id", Uuid, nullable=False),
    # Of an imported case no phase is the cause.
    audit_id(nullable=True),
    text_column("run_id"),
    text_column("partition_key"),
    text_column("kind"),
    Column("changes", JSONB, nullable=False),
    text_column("source_digest", nullable=True),
    timestamp("occurred_at"),
    one_of("kind", EventKind),
    CheckConstraint("(audit_id IS NULL) = (kind = 'adopted')", name="audit"),
    Index(None, "case_id", "seq"),
    # The change feed of a clinic.
    Index(None, "clinic_id", "seq"),
    Index(None, "audit_id"),
)
