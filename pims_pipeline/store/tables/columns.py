"""The shared metadata and the columns that several tables have.

Only shapes live in this package: columns, keys, checks, indexes. Only the migrations create
them; triggers and row-level security live there too, since metadata cannot hold them.
Reading and writing belongs in the module of each noun. Import ``metadata`` from
``tables.all`` where every table is needed.

Timestamps are ``timestamptz``; business dates are ``date``, in the clinic's own zone.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from pims_pipeline.domain.clinics import PROVIDER_TYPE_PATTERN

HOT_UPDATES = {"fillfactor": 80}
"""Leaves room on each page for a row's next version, so that an update touches no index."""

UPDATES_OF_ALL_ROWS = {"fillfactor": 50}
"""The same for updates of all rows of a page at once."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """A check that the column holds one of ``values``."""
    quoted = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({quoted})", name=column)


def provider_type_check() -> CheckConstraint:
    """A check that ``provider_type`` has the shape of one; the registry knows which there are."""
    return CheckConstraint(
        f"provider_type ~ '^{PROVIDER_TYPE_PATTERN.pattern}$'", name="provider_type"
    )


def id_column() -> Column[Any]:
    """A random primary key, ``id``."""
    return Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()"))


def clinic_id() -> Column[Any]:
    """The clinic that a row belongs to."""
    return Column("clinic_id", Uuid, ForeignKey("clinics.id", ondelete="RESTRICT"), nullable=False)


def audit_id(*, nullable: bool = False) -> Column[Any]:
    """The audit that wrote a row; not null unless ``nullable``."""
    return Column(
        "audit_id", Uuid, ForeignKey("case_sync_audits.id", ondelete="RESTRICT"), nullable=nullable
    )


def text_column(name: str, *, nullable: bool = False, default: str | None = None) -> Column[Any]:
    """A text; not null unless ``nullable``."""
    shown = None if default is None else text(f"'{default}'")
    return Column(name, Text, nullable=nullable, server_default=shown)


def timestamp(name: str, *, nullable: bool = False) -> Column[Any]:
    """A ``timestamptz``; not null unless ``nullable``."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def timestamp_now(name: str) -> Column[Any]:
    """A ``timestamptz`` that defaults to the start of the transaction."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("now()"))


def business_date(name: str, *, nullable: bool = False) -> Column[Any]:
    """A ``date`` in the clinic's zone; not null unless ``nullable``."""
    return Column(name, Date, nullable=nullable)


def integer(name: str, default: int = 0) -> Column[Any]:
    """An integer, not null, with a default."""
    return Column(name, Integer, nullable=False, server_default=text(str(default)))


def text_array(name: str) -> Column[Any]:
    """Texts, or null."""
    return Column(name, ARRAY(Text), nullable=True)


def false_by_default(name: str) -> Column[Any]:
    """A boolean, not null, that defaults to false."""
    return Column(name, Boolean, nullable=False, server_default=text("false"))


def true_by_default(name: str) -> Column[Any]:
    """A boolean, not null, that defaults to true."""
    return Column(name, Boolean, nullable=False, server_default=text("true"))
