"""Our rows about adoptions: which clinics were adopted, in which mode, which cases, which steps.

Reading and writing their tables belongs in ``store/v4``; what is imported or compared is decided in
``domain/adoption``.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, insert, select, text, update

from pims_pipeline.domain.adoption.agreement import DiffCounts
from pims_pipeline.domain.adoption.v4 import AdoptionMode, Layout
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.database.batches import Columns, execute_batches
from pims_pipeline.store.tables.adoptions import adopted_cases, adoption_steps, adoptions
from pims_pipeline.store.tables.clinics import clinics


class NotAdopted(UserFacingError):
    """The clinic was not adopted from a v4.0 installation."""

    def __init__(self, slug: str) -> None:
        super().__init__(
            f"clinic {slug!r} was not adopted from a v4.0 installation; adopt it with "
            f"`pims adopt run --clinic {slug}`"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """A clinic's adoption. Times are aware UTC.

    Attributes:
        clinic_id: Our clinic.
        their_schema: The schema of their tables.
        their_clinic_id: Their clinic; our own has the same id.
        their_schedule: Their schedule before it was switched off; None while it runs.
        last_diff: The counts of the last comparison, if there was one.
        written_seq: The newest event of ours of which the application's rows hold the result.
    """

    clinic_id: UUID
    layout: Layout
    their_schema: str
    their_clinic_id: UUID
    mode: AdoptionMode
    adopted_at: datetime
    mode_changed_at: datetime
    their_schedule: Any
    last_diff: Mapping[str, Any] | None
    last_diff_at: datetime | None
    written_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionStep:
    """A step of adopting that was done.

    Attributes:
        clinic_id: None for a step of the whole installation.
        step: A word or two, such as ``run`` or ``switch``.
        details: Ids, counts and settings.
        occurred_at: Aware UTC.
    """

    seq: int
    clinic_id: UUID | None
    step: str
    details: Mapping[str, Any]
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLink:
    """A case of ours that belongs to one of theirs.

    Attributes:
        case_id: Ours.
        their_case_id: Theirs. The same, unless both sides had made a case of the appointment
            before they were linked.
        external_id: Theirs, as stored.
    """

    case_id: UUID
    their_case_id: UUID
    external_id: str


def add_adoption(
    connection: Connection,
    *,
    clinic_id: UUID,
    layout: Layout,
    their_schema: str,
    their_clinic_id: UUID,
    mode: AdoptionMode = AdoptionMode.SHADOW,
) -> None:
    """Record that the clinic is adopted."""
    connection.execute(
        insert(adoptions).values(
            clinic_id=clinic_id,
            layout=layout,
            their_schema=their_schema,
            their_clinic_id=their_clinic_id,
            mode=mode,
        )
    )


def adoption_of(connection: Connection, clinic_id: UUID, *, lock: bool = False) -> Adoption | None:
    """The clinic's adoption; None if it was not adopted.

    ``lock`` locks it against other changes until the transaction ends.
    """
    statement = select(adoptions).where(adoptions.c.clinic_id == clinic_id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _adoption(row)


def all_adoptions(connection: Connection) -> list[Adoption]:
    """Every adoption, the first one first."""
    rows = connection.execute(select(adoptions).order_by(adoptions.c.adopted_at, "clinic_id"))
    return [_adoption(row) for row in rows]


def _adoption(row: Row[Any]) -> Adoption:
    return Adoption(
        clinic_id=row.clinic_id,
        layout=Layout(row.layout),
        their_schema=row.their_schema,
        their_clinic_id=row.their_clinic_id,
        mode=AdoptionMode(row.mode),
        adopted_at=row.adopted_at,
        mode_changed_at=row.mode_changed_at,
        their_schedule=row.their_schedule,
        last_diff=row.last_diff,
        last_diff_at=row.last_diff_at,
        written_seq=row.written_seq,
    )


def adopted_slugs(connection: Connection) -> list[str]:
    """The slugs of the clinics in mode shadow or live."""
    rows = connection.scalars(
        select(clinics.c.slug)
        .join(adoptions, adoptions.c.clinic_id == clinics.c.id)
        .where(adoptions.c.mode != AdoptionMode.OFF)
        .order_by(clinics.c.slug)
    )
    return list(rows)


def set_mode(connection: Connection, clinic_id: UUID, mode: AdoptionMode) -> None:
    """Change the clinic's mode; the caller logs the step."""
    connection.execute(
        update(adoptions)
        .where(adoptions.c.clinic_id == clinic_id, adoptions.c.mode != mode)
        .values(mode=mode, mode_changed_at=func.now())
    )


def keep_their_schedule(connection: Connection, clinic_id: UUID, schedule: Any) -> None:
    """Keep their schedule, JSON-ready, as it was before it was switched off; None if it runs."""
    connection.execute(
        update(adoptions).where(adoptions.c.clinic_id == clinic_id).values(their_schedule=schedule)
    )


def record_diff(connection: Connection, clinic_id: UUID, diff: Mapping[str, Any]) -> None:
    """Keep the counts of the clinic's last comparison, JSON-ready and without personal data."""
    connection.execute(
        update(adoptions)
        .where(adoptions.c.clinic_id == clinic_id)
        .values(last_diff=dict(diff), last_diff_at=func.now())
    )


def keep_diff(connection: Connection, clinic_id: UUID, counts: DiffCounts) -> None:
    """Keep the counts of a comparison as the clinic's last one, and as that of the present day.

    One from before the first sync here compares copies, and is not kept for the day.
    """
    record_diff(connection, clinic_id, counts.summary)
    if not counts.is_synced_here:
        return
    connection.execute(
        text(
            """
            INSERT INTO adoption_diffs (
                clinic_id, day, window_start, window_end, compared, differences, waiting, by_kind)
            VALUES (
                :clinic_id, CAST(now() AT TIME ZONE 'UTC' AS date), :window_start, :window_end,
                :compared, :differences, :waiting, CAST(:by_kind AS jsonb))
            ON CONFLICT (clinic_id, day) DO UPDATE SET
                window_start = excluded.window_start, window_end = excluded.window_end,
                compared = excluded.compared, differences = excluded.differences,
                waiting = excluded.waiting, by_kind = excluded.by_kind, compared_at = now()
            """
        ),
        {
            "clinic_id": clinic_id,
            "window_start": counts.window.start,
            "window_end": counts.window.end,
            "compared": counts.compared,
            "differences": counts.differences,
            "waiting": counts.waiting,
            "by_kind": json.dumps(counts.by_kind),
        },
    )


_LINK: Columns = {
    "case_id": ("uuid", attrgetter("case_id")),
    "their_case_id": ("uuid", attrgetter("their_case_id")),
    "external_id": ("text", attrgetter("external_id")),
}


def link_cases(connection: Connection, clinic_id: UUID, links: Iterable[CaseLink]) -> int:
    """Record which of our cases belongs to which of theirs; those that are linked do not change.

    Returns:
        How many were not linked before.
    """
    return execute_batches(
        connection,
        "INSERT INTO adopted_cases (clinic_id, case_id, their_case_id, external_id) "
        "SELECT :clinic_id, r.case_id, r.their_case_id, r.external_id FROM {rows} "
        "ON CONFLICT DO NOTHING",
        _LINK,
        links,
        {"clinic_id": clinic_id},
    )


def relink_cases(connection: Connection, clinic_id: UUID, links: Iterable[CaseLink]) -> None:
    """Record that our cases belong to others of theirs now, which no case of ours belongs to."""
    execute_batches(
        connection,
        "INSERT INTO adopted_cases (clinic_id, case_id, their_case_id, external_id) "
        "SELECT :clinic_id, r.case_id, r.their_case_id, r.external_id FROM {rows} "
        "WHERE NOT EXISTS (SELECT FROM adopted_cases AS taken WHERE taken.clinic_id = :clinic_id "
        "AND taken.their_case_id = r.their_case_id) "
        "ON CONFLICT (clinic_id, case_id) DO UPDATE SET their_case_id = excluded.their_case_id, "
        "external_id = excluded.external_id, linked_at = now()",
        _LINK,
        links,
        {"clinic_id": clinic_id},
    )


def linked_cases(
    connection: Connection, clinic_id: UUID, case_ids: Collection[UUID] | None = None
) -> list[CaseLink]:
    """The linked cases of the clinic, or those of them that are among ``case_ids``."""
    table = adopted_cases
    statement = select(table.c.case_id, table.c.their_case_id, table.c.external_id).where(
        table.c.clinic_id == clinic_id
    )
    if case_ids is not None:
        statement = statement.where(table.c.case_id.in_(case_ids))
    return [CaseLink(**row._mapping) for row in connection.execute(statement)]  # noqa: SLF001 - SQLAlchemy's public name for it


def linked_counts(connection: Connection) -> dict[UUID, int]:
    """How many cases of each clinic are linked."""
    table = adopted_cases
    rows = connection.execute(
        select(table.c.clinic_id, func.count().label("cases")).group_by(table.c.clinic_id)
    )
    return {row.clinic_id: row.cases for row in rows}


def tables_exist(connection: Connection) -> bool:
    """Whether our tables about adoptions are there: whether the database is migrated."""
    found: bool = connection.execute(
        text("SELECT to_regclass(quote_ident(current_schema()) || '.adoptions') IS NOT NULL")
    ).scalar_one()
    return found


def names_taken(connection: Connection, names: Collection[str]) -> list[str]:
    """Those of the tables ``names`` that exist in our schema, whosever they are."""
    rows = connection.scalars(
        text(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(current_schema()) "
            "AND relname = ANY(:names) AND relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY relname"
        ),
        {"names": list(names)},
    )
    return list(rows)


def log_step(
    connection: Connection, step: str, details: Mapping[str, Any], *, clinic_id: UUID | None
) -> None:
    """Append a step to the log.

    Args:
        connection: In the transaction that does the step.
        step: A word or two, such as ``run`` or ``switch``.
        details: Ids, counts and settings, JSON-ready; no personal data.
        clinic_id: Our clinic; None for a step of the whole installation.
    """
    connection.execute(
        insert(adoption_steps).values(clinic_id=clinic_id, step=step, details=dict(details))
    )


def steps_of(connection: Connection, clinic_id: UUID | None = None) -> list[AdoptionStep]:
    """The steps of that clinic, or all steps; the first one first."""
    table = adoption_steps
    statement = select(table).order_by(table.c.seq)
    if clinic_id is not None:
        statement = statement.where(table.c.clinic_id == clinic_id)
    return [
        AdoptionStep(
            seq=row.seq,
            clinic_id=row.clinic_id,
            step=row.step,
            details=row.details,
            occurred_at=row.occurred_at,
        )
        for row in connection.execute(statement)
    ]
