"""Credentials and sessions at the vendor, who read them, and the keys of the API."""

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY

from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.store.tables.columns import (
    clinic_id,
    id_column,
    metadata,
    one_of,
    provider_type_check,
    text_column,
    timestamp,
    timestamp_now,
    true_by_default,
)

pims_credentials = Table(
    "pims_credentials",
    metadata,
    id_column(),
    clinic_id(),
    text_column("provider_type"),
    Column("encrypted_data", LargeBinary, nullable=False),
    text_column("key_id"),
    text_column("status", default=CredentialStatus.UNVERIFIED),
    timestamp_now("created_at"),
    timestamp_now("updated_at"),
    UniqueConstraint("clinic_id", "provider_type"),
    one_of("status", CredentialStatus),
    provider_type_check(),
)

pims_sessions = Table(
    "pims_sessions",
    metadata,
    clinic_id(),
    text_column("provider_type"),
    Column("encrypted_data", LargeBinary, nullable=False),
    text_column("key_id"),
    timestamp("expires_at"),
    timestamp_now("created_at"),
    timestamp("last_used_at", nullable=True),
    PrimaryKeyConstraint("clinic_id", "provider_type"),
    provider_type_check(),
)

credential_access_log = Table(
    "credential_access_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    clinic_id(),
    text_column("provider_type"),
    text_column("purpose"),
    text_column("run_id", nullable=True),
    timestamp_now("accessed_at"),
    Index(None, "clinic_id", "accessed_at"),
    provider_type_check(),
)

clinic_api_keys = Table(
    "clinic_api_keys",
    metadata,
    id_column(),
    clinic_id(),
    text_column("name"),
    text_column("key_prefix"),
    Column("key_hash", CHAR(64), nullable=False),
    Column("permissions", ARRAY(Text), nullable=True),
    true_by_default("is_active"),
    timestamp("expires_at", nullable=True),
    timestamp("last_used_at", nullable=True),
    timestamp_now("created_at"),
    Column("wait_seconds", Integer, nullable=True),
    UniqueConstraint("key_hash"),
    CheckConstraint("length(key_prefix) BETWEEN 8 AND 12", name="key_prefix"),
    CheckConstraint("wait_seconds BETWEEN 1 AND 120", name="wait_seconds"),
    Index(None, "clinic_id"),
    Index(None, "key_prefix"),
)
