"""Clinics, their schedules, and what their own words mean."""

import json
from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pims_pipeline.domain.clinics import SLUG_PATTERN
from pims_pipeline.domain.phases import PHASES
from pims_pipeline.domain.records.words import CaseStatus, CaseType, WordKind
from pims_pipeline.store.tables.columns import (
    clinic_id,
    id_column,
    integer,
    metadata,
    one_of,
    provider_type_check,
    text_array,
    text_column,
    timestamp_now,
    true_by_default,
)

DEFAULT_SCHEDULES = json.dumps({phase.value: names.schedule for phase, names in PHASES.items()})

clinics = Table(
    "clinics",
    metadata,
    id_column(),
    text_column("slug"),
    text_column("name"),
    text_column("timezone"),
    text_column("provider_type"),
    text_column("provider_base_url"),
    true_by_default("is_active"),
    timestamp_now("created_at"),
    timestamp_now("updated_at"),
    # Set by a trigger when the zone changes or the clinic is activated again: no tick of its
    # schedules before this counts.
    timestamp_now("scheduled_since"),
    # Which rooms, columns and providers of its calendar are synced; all if neither names any.
    text_array("included_resources"),
    text_array("excluded_resources"),
    CheckConstraint(
        "included_resources IS NULL OR excluded_resources IS NULL", name="one_kind_of_resources"
    ),
    CheckConstraint(
        "cardinality(included_resources) > 0 AND cardinality(excluded_resources) > 0",
        name="some_resources",
    ),
    UniqueConstraint("slug"),
    CheckConstraint(f"slug ~ '^{SLUG_PATTERN.pattern}$'", name="slug"),
    provider_type_check(),
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
    integer("days_ahead", 7),
    integer("lookback_days", 7),
    integer("parallel_batch_size", 5),
    timestamp_now("updated_at"),
    # By phase, when its cron expression was last changed; kept by a trigger, so that edits by
    # hand count too. No tick before this counts.
    Column("schedules_changed_at", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    CheckConstraint("jsonb_typeof(sync_schedules) = 'object'", name="sync_schedules"),
    CheckConstraint("days_ahead >= 0", name="days_ahead"),
    CheckConstraint("lookback_days >= 0", name="lookback_days"),
    CheckConstraint("parallel_batch_size >= 1", name="parallel_batch_size"),
)


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


clinic_words = Table(
    "clinic_words",
    metadata,
    # A log: of each word, the newest row counts.
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    clinic_id(),
    text_column("kind"),
    # As comparisons write it: see ``plain_word``.
    text_column("word"),
    # Null: the clinic has no meaning of its own for it any more.
    text_column("meaning", nullable=True),
    text_column("changed_by"),
    # Not when its transaction began, which may wait for another change.
    Column(
        "changed_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=text("clock_timestamp()"),
    ),
    one_of("kind", WordKind),
    CheckConstraint("word <> ''", name="word"),
    CheckConstraint(
        f"meaning IS NULL OR CASE kind WHEN 'status' THEN meaning IN ({_quoted(CaseStatus)}) "
        f"ELSE meaning IN ({_quoted(CaseType)}) END",
        name="meaning",
    ),
    Index(None, "clinic_id", "seq"),
)
