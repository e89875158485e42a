"""The counts of the daily report, by clinic, without personal data. Read-only."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection, text

from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.cases.metadata import SOFT_DELETED
from pims_pipeline.store.clinics import is_synced_in
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.shapes.reading import drift_of_all


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseDay:
    """What a phase of a clinic did, by the audits that last changed on the day.

    Attributes:
        syncs: Audits; the next five are parts of it.
        seconds: Of all that ended, together.
        longest_seconds: Of the one that took longest.
        deleted: Cases retired, unless they are left out.
        left_out: Inbound: appointments that the clinic does not sync, at each sync again.
            Reconciliation: cases retired for that.
        errored: Consultations that could not be fetched.
        quarantined: Records of the calendar that could not be read.
    """

    clinic: str
    phase: Phase
    syncs: int
    completed: int
    failed: int
    held: int
    interrupted: int
    in_progress: int
    seconds: float
    longest_seconds: float
    created: int
    updated: int
    restored: int
    deleted: int
    enriched: int
    errored: int
    quarantined: int
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicDay:
    """The day's cases of a clinic, and what waited for a decision when the day ended.

    Attributes:
        draft: Cases of the business date with this status now; the other statuses alike.
        retired: Those that are soft-deleted, whatever their status.
        holds_opened: Windows that were held on the day.
        holds_open: Those that waited when it ended.
        failures_new: Records that failed on the day for the first time.
        failures_open: Those that were open when it ended.
    """

    clinic: str
    draft: int
    ongoing: int
    completed: int
    reviewed: int
    retired: int
    holds_opened: int
    holds_open: int
    failures_new: int
    failures_open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedDay:
    """The day's last comparison of an adopted clinic with its v4.0 installation.

    Attributes:
        mode: The clinic's mode now.
        compared: Appointments.
        differences: Those that count.
        waiting: Those that the next sync of either side may remove.
        kinds: All by kind, except those that wait, such as ``status 2, time_shifted 1``.
        days_agreeing: How many compared days in a row had no difference, up to this day.
    """

    clinic: str
    mode: str
    compared: int
    differences: int
    waiting: int
    kinds: str
    days_agreeing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDay:
    """How a clinic's vendor changed its responses in the seven days up to the day's end.

    Attributes:
        new: How many fields are new; the other numbers alike.
        fields: Their paths, and JSON types; no values.
    """

    clinic: str
    new: int
    missing: int
    changed: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """The counts of one day.

    Attributes:
        phases: By clinic and phase, of those that ran.
        clinics: By clinic, of those that are active or have a count.
        adopted: By clinic, of those that were compared with v4.0.
        contracts: By clinic, of those whose vendor changed something.
    """

    date: date
    phases: list[PhaseDay]
    clinics: list[ClinicDay]
    adopted: list[AdoptedDay] = field(default_factory=list)
    contracts: list[ContractDay] = field(default_factory=list)


def report_of(connection: Connection, day: date) -> Day:
    """What happened on ``day``, which is UTC's for syncs and each clinic's own for cases."""
    start = datetime.combine(day, time.min, UTC)
    moments = {"day": day, "start": start, "end": start + timedelta(days=1)}
    return Day(
        date=day,
        phases=[
            PhaseDay(**{**row._mapping, "phase": Phase(row.phase)})  # noqa: SLF001 - public
            for row in connection.execute(text(_PHASES), moments)
        ],
        clinics=[
            ClinicDay(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
            for row in connection.execute(text(_CLINICS), moments)
        ],
        adopted=[
            AdoptedDay(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
            for row in connection.execute(text(_ADOPTED), {"day": day})
        ],
        contracts=list(_contracts(connection, start + timedelta(days=1))),
    )


def _contracts(connection: Connection, end: datetime) -> Iterator[ContractDay]:
    for slug, found in drift_of_all(connection, min(end, utc_now())).items():
        if not found.is_none:
            yield ContractDay(
                clinic=slug,
                new=len(found.new),
                missing=len(found.missing),
                changed=len(found.changed),
                fields=(*found.new, *found.missing, *found.changed),
            )


_PHASES = """
    SELECT c.slug AS clinic, a.sync_type AS phase, count(*) AS syncs,
           count(*) FILTER (WHERE a.status = 'completed') AS completed,
           count(*) FILTER (WHERE a.status = 'failed') AS failed,
           count(*) FILTER (WHERE a.status = 'held') AS held,
           count(*) FILTER (WHERE a.status = 'interrupted') AS interrupted,
           count(*) FILTER (WHERE a.status = 'in_progress') AS in_progress,
           CAST(coalesce(sum(a.duration_ms), 0) / 1000.0 AS float) AS seconds,
           CAST(coalesce(max(a.duration_ms), 0) / 1000.0 AS float) AS longest_seconds,
           sum(a.cases_created) AS created, sum(a.cases_updated) AS updated,
           sum(a.cases_restored) AS restored, sum(a.cases_deleted) AS deleted,
           sum(a.cases_enriched) AS enriched, sum(a.cases_errored) AS errored,
           sum(a.quarantined) AS quarantined, sum(a.cases_left_out) AS left_out
    FROM case_sync_audits AS a JOIN clinics AS c ON c.id = a.clinic_id
    WHERE a.updated_at >= :start AND a.updated_at < :end
    GROUP BY c.slug, a.sync_type
    ORDER BY c.slug, array_position(ARRAY['inbound', 'cases', 'reconciliation'], a.sync_type)
"""

_ADOPTED = """
    SELECT c.slug AS clinic, a.mode, d.compared, d.differences, d.waiting,
           (SELECT coalesce(string_agg(kind || ' ' || found, ', ' ORDER BY kind), '')
            FROM jsonb_each_text(d.by_kind) AS k (kind, found)) AS kinds,
           (SELECT count(*) FROM adoption_diffs AS agreeing
            WHERE agreeing.clinic_id = d.clinic_id AND agreeing.day <= d.day
              AND agreeing.day > coalesce(
                  (SELECT max(other.day) FROM adoption_diffs AS other
                   WHERE other.clinic_id = d.clinic_id AND other.day <= d.day
                     AND other.differences > 0), '-infinity')) AS days_agreeing
    FROM adoption_diffs AS d
    JOIN adoptions AS a ON a.clinic_id = d.clinic_id
    JOIN clinics AS c ON c.id = d.clinic_id
    WHERE d.day = :day
    ORDER BY c.slug
"""

_CLINICS = f"""
    SELECT clinic.slug AS clinic, k.*, h.*, f.*
    FROM clinics AS clinic
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE NOT deleted AND status = 'draft') AS draft,
               count(*) FILTER (WHERE NOT deleted AND status = 'ongoing') AS ongoing,
               count(*) FILTER (WHERE NOT deleted AND status = 'completed') AS completed,
               count(*) FILTER (WHERE NOT deleted AND status = 'reviewed') AS reviewed,
               count(*) FILTER (WHERE deleted) AS retired
        FROM (
            SELECT c.status, {SOFT_DELETED} AS deleted
            FROM cases AS c
            WHERE c.clinic_id = clinic.id AND c.scheduled_date = :day
        ) AS of_the_day
    ) AS k
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE created_at >= :start) AS holds_opened,
               count(*) FILTER (WHERE decided_at IS NULL OR decided_at >= :end) AS holds_open
        FROM reconciliation_holds
        WHERE clinic_id = clinic.id AND created_at < :end
    ) AS h
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE first_failed_at >= :start) AS failures_new,
               count(*) FILTER (WHERE resolved_at IS NULL OR resolved_at >= :end) AS failures_open
        FROM sync_failures
        WHERE clinic_id = clinic.id AND first_failed_at < :end
    ) AS f
    WHERE {is_synced_in("clinic")}
       OR k.draft + k.ongoing + k.completed + k.reviewed + k.retired > 0
       OR h.holds_opened + h.holds_open + f.failures_new + f.failures_open > 0
    ORDER BY clinic.slug
"""  # noqa: S608 - a fixed condition
