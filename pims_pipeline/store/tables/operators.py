"""Operators of the console: their roles, sign-ins, attempts to sign in, and what they did."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pims_pipeline.domain.console.decisions import DECISIONS as DECIDED
from pims_pipeline.domain.console.operators import NAME_PATTERN, OperatorAction, OperatorRole
from pims_pipeline.store.tables.columns import (
    id_column,
    metadata,
    one_of,
    text_column,
    timestamp,
    timestamp_now,
    true_by_default,
)

DECISIONS = f"action IN ({', '.join(repr(each.value) for each in DECIDED)})"
"""The condition of the log's rows that are decisions, as its index has it."""

operators = Table(
    "operators",
    metadata,
    id_column(),
    text_column("name"),
    # Argon2id; null for an operator whom an identity proxy signs in.
    text_column("password_hash", nullable=True),
    true_by_default("is_active"),
    timestamp_now("created_at"),
    timestamp_now("updated_at"),
    UniqueConstraint("name"),
    CheckConstraint(f"name ~ '^{NAME_PATTERN.pattern}$'", name="name"),
)

operator_roles = Table(
    "operator_roles",
    metadata,
    Column("operator_id", Uuid, ForeignKey("operators.id", ondelete="CASCADE"), nullable=False),
    # Null for all clinics.
    Column("clinic_id", Uuid, ForeignKey("clinics.id", ondelete="RESTRICT"), nullable=True),
    text_column("role"),
    one_of("role", OperatorRole),
    UniqueConstraint("operator_id", "clinic_id", postgresql_nulls_not_distinct=True),
)

operator_sign_ins = Table(
    "operator_sign_ins",
    metadata,
    # SHA-256 of the random id that the browser keeps.
    Column("id_hash", Text, primary_key=True),
    Column("operator_id", Uuid, ForeignKey("operators.id", ondelete="CASCADE"), nullable=False),
    timestamp_now("created_at"),
    timestamp_now("last_used_at"),
    # Moves with each use, up to the longest time that a sign-in lasts.
    timestamp("expires_at"),
    Index(None, "operator_id"),
)

sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    # A hash of the operator's name or of the address: what was typed may be a password.
    Column("subject", Text, primary_key=True),
    timestamp_now("began_at"),
    Column("attempts", Integer, nullable=False),
    Index(None, "began_at"),
)

operator_log = Table(
    "operator_log",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    # Null for an attempt to sign in under a name that no operator has.
    Column("operator_id", Uuid, ForeignKey("operators.id", ondelete="RESTRICT"), nullable=True),
    # Null for what concerns no clinic.
    Column("clinic_id", Uuid, ForeignKey("clinics.id", ondelete="RESTRICT"), nullable=True),
    text_column("action"),
    Column("case_id", Uuid, nullable=True),
    # Ids, counts and reasons that the operator gave.
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("address", Text, nullable=True),
    Column(
        "occurred_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=text("clock_timestamp()"),
    ),
    one_of("action", OperatorAction),
    CheckConstraint("operator_id IS NOT NULL OR action = 'sign_in_refused'", name="operator"),
    Index(None, "operator_id", "seq"),
    Index(None, "clinic_id", "seq"),
    # Where an operator signed in lately.
    Index(
        "ix_operator_log_signed_in",
        "operator_id",
        "address",
        "occurred_at",
        postgresql_where=text("action = 'signed_in'"),
    ),
    # Looks are many, decisions are few.
    Index("ix_operator_log_decisions", "clinic_id", "seq", postgresql_where=text(DECISIONS)),
)
