"""Write the application's cases of a clinic in mode ``live``, from ours.

One transaction for each clinic, under its lock: a killed run leaves nothing half, and the next one
writes what was left. What is written is decided in ``domain/adoption/application/rows.py``; which
partitions it is about belongs in ``orchestration``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.adoption.application.rows import LeftOut, RowsPlan, plan_rows
from pims_pipeline.domain.adoption.application.sides import RowRules, SyncedCase
from pims_pipeline.domain.adoption.importing import resolve_duplicates
from pims_pipeline.domain.adoption.v4 import AdoptionMode, Layout
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.deactivation import ClinicUse, refusal
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.cases import DEFAULT_WORDS, Words
from pims_pipeline.store.adoptions import Adoption, CaseLink, adoption_of, link_cases, relink_cases
from pims_pipeline.store.audits import audits_of_run
from pims_pipeline.store.cases.application import (
    STALE_EVENTS,
    cases_to_write,
    live_slugs,
    record_writes,
    set_written,
    unwritten,
)
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.database.retries import in_transaction
from pims_pipeline.store.failures import FailureInput, record_failures, resolve_failures
from pims_pipeline.store.v4.application_rows import (
    PATIENTS,
    application_rows,
    rows_of_appointments,
    rules_of,
)
from pims_pipeline.store.v4.application_writing import write_rows
from pims_pipeline.store.v4.installation import (
    Installation,
    find_installation,
    require_rights,
)
from pims_pipeline.store.v4.references import reference_counts
from pims_pipeline.sync.context import SyncContext

RECORD_KEY = "application_cases"
"""Names the failure to write a clinic's application, in ``sync_failures``."""

_WRITTEN = ["SELECT", "INSERT", "UPDATE"]


def tables_written(layout: Layout) -> Mapping[str, Sequence[str]]:
    """By table of theirs the rights that writing needs."""
    tables = {"cases": _WRITTEN}
    return tables | {PATIENTS: _WRITTEN} if layout is Layout.DEPLOYED else tables


@dataclass(frozen=True, slots=True)
class ApplicationReport:
    """What was written for a clinic.

    Attributes:
        written: By business date of the case: how many rows were written, by kind.
        linked: Cases that were linked to a row which the v4.0 service had made.
        left_out: Cases that were not written, by the reason.
    """

    written: Mapping[date, Mapping[str, int]]
    unchanged: int
    linked: int
    left_out: Mapping[LeftOut, tuple[UUID, ...]]

    @property
    def total(self) -> int:
        """How many rows were written."""
        return sum(sum(kinds.values()) for kinds in self.written.values())


@dataclass(frozen=True, slots=True)
class _Live:
    """A live clinic's adoption, the installation that it is written to, and its rules."""

    adoption: Adoption
    installation: Installation
    rules: RowRules


def live_clinics(engine: Engine, slugs: Collection[str]) -> set[str]:
    """Those of the clinics whose application is written: one statement."""
    with transaction(engine) as connection:
        return live_slugs(connection, slugs)


def write_application(
    context: SyncContext, slug: str, days: Sequence[date]
) -> ApplicationReport | None:
    """Write the clinic's cases of these dates, and others that changed since they were written.

    Args:
        context: The run's.
        slug: The clinic.
        days: The business dates.

    Returns:
        What was written; None if the clinic is not live, or deactivated.

    Raises:
        ApplicationRefused: If a constraint or a trigger of theirs refuses a write.
        LockTimeout: If another session locks the clinic, or a row, for too long.
        MissingRight: If the login may not write their tables.
        NotAV4Installation: If their tables are gone, or not as they were.
    """
    with transaction(context.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
    try:
        return in_transaction(
            context.engine, lambda connection: _write(connection, context, clinic, days)
        )
    except Exception as error:
        record = partial(_record_failure, context=context, clinic=clinic, days=days, error=error)
        in_transaction(context.engine, record)
        raise


def _write(
    connection: Connection, context: SyncContext, clinic: Clinic, days: Sequence[date]
) -> ApplicationReport | None:
    lock_clinic(connection, clinic.id)
    live = _live(connection, clinic, context.words)
    if live is None:
        return None
    require_rights(connection, live.installation, tables_written(live.installation.layout))
    changed = unwritten(connection, clinic, live.adoption.written_seq)
    cases = cases_to_write(connection, clinic, days, changed.case_ids)
    plan, linked = _linked_plan(connection, live, clinic, cases)
    plan = _locked_plan(connection, live, plan)
    if not plan.is_empty:
        audits = [a for a in audits_of_run(connection, context.run_id) if a.clinic_id == clinic.id]
        write_rows(connection, live.installation, clinic.id, plan.writes)
        record_writes(
            connection,
            clinic,
            plan.writes,
            run_id=context.run_id,
            audit_id=audits[-1].id if audits else None,
        )
    if changed.case_ids or changed.seq - live.adoption.written_seq > STALE_EVENTS:
        set_written(connection, clinic, changed.seq)
    resolve_failures(connection, clinic, Phase.RECONCILIATION, [RECORD_KEY], context.clock())
    return ApplicationReport(_by_date(plan), plan.unchanged, linked, plan.left_out)


def _live(connection: Connection, clinic: Clinic, words: Words) -> _Live | None:
    adoption = adoption_of(connection, clinic.id, lock=True)
    if adoption is None or adoption.mode is not AdoptionMode.LIVE:
        return None
    if refusal(clinic, ClinicUse.SYNC) is not None:
        return None
    installation = find_installation(connection, adoption.their_schema)
    return _Live(adoption, installation, _rules(connection, adoption, installation, words))


def _rules(
    connection: Connection, adoption: Adoption, installation: Installation, words: Words
) -> RowRules:
    rules = rules_of(connection, installation, adoption.their_clinic_id)
    return replace(rules, words=words)


def _linked_plan(
    connection: Connection, live: _Live, clinic: Clinic, cases: Sequence[SyncedCase]
) -> tuple[RowsPlan, int]:
    """The plan, after linking cases without a row to one that the v4.0 service made.

    Those are new ones, and ones whose row people deleted: they may have kept another one of its
    appointment.

    Returns:
        The plan, and how many cases were linked.
    """
    links = _links(connection, live, [case for case in cases if not case.was_there])
    linked = link_cases(connection, clinic.id, links)
    cases = _with_rows(cases, links)
    plan = _plan(connection, live, cases)
    gone = frozenset(plan.left_out.get(LeftOut.GONE, ()))
    links = _links(connection, live, [case for case in cases if case.id in gone])
    if not links:
        return plan, linked
    relink_cases(connection, clinic.id, links)
    return _plan(connection, live, _with_rows(cases, links)), linked + len(links)


def _links(connection: Connection, live: _Live, cases: Sequence[SyncedCase]) -> list[CaseLink]:
    """For each case the row that the v4.0 service made of its appointment, if there is one.

    Of several such rows the one is taken that adopting would take.
    """
    ids = {case.appointment_id: case.id for case in cases}
    candidates, names = rows_of_appointments(
        connection, live.installation, live.rules.clinic_id, list(ids)
    )
    if not candidates:
        return []
    references = reference_counts(connection, live.installation, [each.id for each in candidates])
    chosen = {each.appointment_id: each.id for each in candidates}
    chosen |= {
        each.appointment_id: each.linked for each in resolve_duplicates(candidates, references)
    }
    return [
        CaseLink(case_id=ids[appointment], their_case_id=row_id, external_id=names[row_id])
        for appointment, row_id in chosen.items()
    ]


def _with_rows(cases: Sequence[SyncedCase], links: Collection[CaseLink]) -> list[SyncedCase]:
    """The cases with the rows that they were just linked to, of which we wrote nothing yet."""
    rows = {link.case_id: link.their_case_id for link in links}
    return [
        replace(case, row_id=rows[case.id], was_there=True, last=None) if case.id in rows else case
        for case in cases
    ]


def _locked_plan(connection: Connection, live: _Live, first: RowsPlan) -> RowsPlan:
    """The same plan from rows that no one else can change; rows that stay are not locked."""
    if first.is_empty:
        return first
    ids = [write.case.row_id for write in first.writes]
    locked = application_rows(connection, live.installation, ids, lock=True)
    planned = plan_rows([write.case for write in first.writes], locked, live.rules)
    return RowsPlan(
        planned.writes,
        {
            why: (*first.left_out.get(why, ()), *planned.left_out.get(why, ()))
            for why in LeftOut
            if why in first.left_out or why in planned.left_out
        },
        first.unchanged + planned.unchanged,
    )


def _plan(connection: Connection, live: _Live, cases: Sequence[SyncedCase]) -> RowsPlan:
    rows = application_rows(connection, live.installation, [case.row_id for case in cases])
    return plan_rows(cases, rows, live.rules)


def _by_date(plan: RowsPlan) -> dict[date, dict[str, int]]:
    written: dict[date, dict[str, int]] = {}
    for write in plan.writes:
        kinds = written.setdefault(write.case.scheduled_date, {})
        kinds[write.kind.value] = kinds.get(write.kind.value, 0) + 1
    return written


def _record_failure(
    connection: Connection,
    *,
    context: SyncContext,
    clinic: Clinic,
    days: Sequence[date],
    error: Exception,
) -> None:
    name, now = type(error).__name__, context.clock()
    failure = FailureInput(
        record_key=RECORD_KEY,
        error_class=name,
        error_message=str(error) if isinstance(error, UserFacingError) else name,
        window=DateRange(min(days), max(days)),
        next_retry_at=now,
    )
    record_failures(connection, clinic, Phase.RECONCILIATION, [failure], now)


def replan_application(
    engine: Engine, slug: str, days: Sequence[date], words: Words = DEFAULT_WORDS
) -> list[UUID] | None:
    """The cases that a second write of these dates would write: none when all is well.

    Returns:
        Their ids; None if the clinic is not live.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        adoption = adoption_of(connection, clinic.id)
        if adoption is None or adoption.mode is not AdoptionMode.LIVE:
            return None
        installation = find_installation(connection, adoption.their_schema)
        rules = _rules(connection, adoption, installation, words)
        cases = cases_to_write(connection, clinic, days, ())
        plan = _plan(connection, _Live(adoption, installation, rules), cases)
    return [write.case.id for write in plan.writes]
