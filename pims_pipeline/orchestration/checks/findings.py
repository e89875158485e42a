"""What the asset checks of the phases find wrong with a window; one function per check.

A check reads the database, never what an asset returned, and requests nothing from a vendor. Its
findings name windows and ids, never personal data. Add a function here and list it in
``checks.phases.CHECKS``.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from sqlalchemy import Engine

from pims_pipeline.adoption.comparison import compare_if_adopted
from pims_pipeline.dagster_names import partition_key
from pims_pipeline.domain.adoption.kinds import KINDS, DifferenceKind
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.shapes import Endpoint
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.store.audits import Audit
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import open_hold_count
from pims_pipeline.store.moments import repaired_before
from pims_pipeline.store.rejections import kept_by
from pims_pipeline.store.shapes.reading import clinic_drift
from pims_pipeline.sync.phases.verification import (
    damaged_cases,
    implausible_cases,
    live_cases_deleted,
    mixed_up_cases,
    phase_failures,
    replan_enrichment,
    replan_inbound,
    replan_reconciliation,
    unknown_statuses,
)

_MAX_WORD = 60
_ERRORED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one window of a clinic.

    Attributes:
        what: A few words, the same for every window with this problem.
        items: Ids, or the vendor's words; never personal data.
        is_warning: Whether it only warns.
        is_note: Whether nothing is wrong: the check passes and shows it.
        cases: The cases that it is about, if it is about cases: they get links.
    """

    what: str
    items: Sequence[object] = field(default=())
    is_warning: bool = False
    is_note: bool = False
    cases: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class CheckInput:
    """A clinic's window to check.

    Attributes:
        engine: The database of cases.
        rules: The policies of the checks.
        clinic: The clinic.
        window: The business dates to check, as the phase synced them.
        audit: The phase's audit of this run that covers the window; without the phase in this
            run, the latest one.
        in_this_run: Whether this run did the phase.
    """

    engine: Engine
    rules: Rules
    clinic: Clinic
    window: DateRange
    audit: Audit | None
    in_this_run: bool


CheckFunction = Callable[[CheckInput], Iterable[Finding]]
"""Finds what is wrong with a window. Its name is the check's, its docstring the description."""


def appointments_idempotent(checked: CheckInput) -> Iterator[Finding]:
    """Landing the stored calendar again would change nothing."""
    plan = replan_inbound(checked.engine, checked.clinic, checked.window)
    if not plan.is_empty:
        ids = {*(write.pims_id for write in plan.case_writes), *plan.missing}
        ids |= {landing.appointment.appointment_id for landing in plan.landings}
        yield Finding("appointments that would be written again", sorted(ids))


def snapshot_complete(checked: CheckInput) -> Iterator[Finding]:
    """The complete calendar, or what changed since one, was landed; every record could be read."""
    audit = checked.audit
    if audit is None or audit.status is not AuditStatus.COMPLETED:
        yield Finding("no complete calendar was landed")
    failures = phase_failures(checked.engine, checked.clinic, Phase.INBOUND, checked.window)
    if failures:
        yield Finding("records that could not be read", [f.id for f in failures], is_warning=True)


def known_statuses(checked: CheckInput) -> Iterator[Finding]:
    """Every status that the vendor returned is known."""
    if words := unknown_statuses(checked.engine, checked.clinic, checked.window):
        shown = [word[:_MAX_WORD] for word in words]
        yield Finding("unknown statuses, treated as drafts", shown, is_warning=True)


def metadata_readable(checked: CheckInput) -> Iterator[Finding]:
    """The sync's entries in the cases' metadata are readable, and needed no repair."""
    if cases := damaged_cases(checked.engine, checked.clinic, checked.window, checked.audit):
        shown = _by_partition(checked.clinic, cases)
        yield Finding("cases whose metadata was overwritten", shown, is_warning=True)


def consultations_idempotent(checked: CheckInput) -> Iterator[Finding]:
    """No consultation that was due when the phase began is still due."""
    if checked.audit is None or checked.audit.status is not AuditStatus.COMPLETED:
        return
    began = checked.audit.created_at
    plan = replan_enrichment(
        checked.engine,
        checked.clinic,
        checked.window,
        now=began,
        policy=checked.rules.enrichment,
    )
    # An appointment that another run landed since then is left to the next enrichment.
    due = [case.case_id for case, _ in plan.due if case.landed_at <= began]
    if due:
        yield Finding("cases whose consultation is still due", due, cases=due)


def patients_match(checked: CheckInput) -> Iterator[Finding]:
    """No case has the consultation of another patient than its appointment's."""
    if cases := mixed_up_cases(checked.engine, checked.clinic, checked.window, checked.audit):
        shown = _by_partition(checked.clinic, cases)
        yield Finding(
            "cases with another patient's consultation",
            shown,
            is_warning=True,
            cases=[case_id for _, case_id in cases],
        )


def _by_partition(clinic: Clinic, cases: Iterable[tuple[date, UUID]]) -> list[str]:
    return [f"{partition_key(clinic.slug, day)} {case_id}" for day, case_id in cases]


def vitals_plausible(checked: CheckInput) -> Iterator[Finding]:
    """No case has implausible vitals."""
    if cases := implausible_cases(checked.engine, checked.clinic, checked.window):
        yield Finding("cases with implausible vitals", cases, is_warning=True, cases=cases)


def enrichment_errors(checked: CheckInput) -> Iterator[Finding]:
    """Consultations can be fetched. Few failures only warn, because they are retried."""
    failures = phase_failures(checked.engine, checked.clinic, Phase.CASES, checked.window)
    if failures:
        yield Finding(
            "consultations that could not be fetched", [f.id for f in failures], is_warning=True
        )
    counts = checked.audit.counts if checked.audit else None
    if (
        counts is not None
        and counts.errored >= checked.rules.enrichment.min_fetches_to_fail
        and counts.errored > counts.found * _ERRORED_SHARE
    ):
        yield Finding(f"{counts.errored} of {counts.found} consultations could not be fetched")


def reconciliation_idempotent(checked: CheckInput) -> Iterator[Finding]:
    """Every case whose appointment is known to be gone is retired."""
    plan = replan_reconciliation(
        checked.engine, checked.clinic, checked.window, policy=checked.rules.deletion
    )
    # The check `deletion_guard` reports cases that a hold keeps.
    if not plan.is_empty and not plan.hold:
        ids = [each.case.id for each in plan.retire]
        yield Finding("cases that would still be retired", ids, cases=ids)


def deletion_guard(checked: CheckInput) -> Iterator[Finding]:
    """No deletions are held for a decision."""
    if checked.audit is not None and checked.audit.status is AuditStatus.HELD:
        yield Finding("deletions are held; see `pims holds list`", [checked.audit.id])
    elif checked.audit is not None and (kept := _kept_by(checked, checked.audit)):
        yield Finding(
            "missing cases are kept, because a hold was rejected; see `pims holds show`",
            [kept],
            is_warning=True,
        )
    elif not checked.in_this_run:
        with transaction(checked.engine) as connection:
            held = open_hold_count(connection, checked.clinic)
        if held:
            yield Finding("deletions of the clinic are held; see `pims holds list`")


def _kept_by(checked: CheckInput, audit: Audit) -> UUID | None:
    with transaction(checked.engine) as connection:
        return kept_by(connection, audit.id)


def moments_in_the_future(checked: CheckInput) -> Iterator[Finding]:
    """No clock that was ahead wrote times about the clinic; such times are repaired."""
    if checked.audit is None:
        return
    with transaction(checked.engine) as connection:
        rows = repaired_before(connection, checked.audit.id)
    if rows:
        what = "rows written by a clock that was ahead, repaired when the phase began"
        yield Finding(what, [f"{rows} rows"], is_warning=True)


def no_live_case_deleted(checked: CheckInput) -> Iterator[Finding]:
    """No case is soft-deleted while its appointment is in the calendar."""
    if cases := live_cases_deleted(checked.engine, checked.clinic, checked.window):
        yield Finding("soft-deleted cases whose appointment is in the calendar", cases, cases=cases)


def shadow_agrees(checked: CheckInput) -> Iterator[Finding]:
    """The cases of an adopted clinic agree with those of its v4.0 installation."""
    try:
        found = compare_if_adopted(checked.engine, checked.clinic, checked.window)
    except UserFacingError as error:
        yield Finding("cannot be compared with v4.0", [error], is_warning=True)
        return
    by_kind: defaultdict[DifferenceKind, list[str]] = defaultdict(list)
    for each in found.differences if found else ():
        if each.counts:
            day = partition_key(checked.clinic.slug, each.day) if each.day else "no date"
            by_kind[each.kind].append(f"{day} {each.case_id or each.their_case_id}")
    for kind, items in by_kind.items():
        yield Finding(f"{kind}: {KINDS[kind].meaning}", items, is_warning=True)


_ENDPOINTS: Mapping[Phase, Collection[Endpoint]] = {
    Phase.INBOUND: (Endpoint.LISTING, Endpoint.LOOKUP, Endpoint.DICTIONARY),
    Phase.CASES: (Endpoint.CONSULTATION,),
}
"""The endpoints whose responses are compared when a phase was synced."""


def vendor_contract(checked: CheckInput) -> Iterator[Finding]:
    """The vendor's responses have the fields and JSON types that they had the week before."""
    if checked.audit is None:
        return
    endpoints = _ENDPOINTS[checked.audit.sync_type]
    with transaction(checked.engine) as connection:
        found = clinic_drift(connection, checked.clinic, utc_now(), endpoints)
    for what, paths in (
        ("fields that are new this week: path, JSON types", found.new),
        ("fields that are missing since last week: path, JSON types", found.missing),
        ("fields whose JSON types changed since last week", found.changed),
    ):
        if paths:
            yield Finding(what, paths, is_warning=True)
    if found.first_week:
        yield Finding("in their first week: nothing to compare", found.first_week, is_note=True)


def readable_fields(checked: CheckInput) -> Iterator[Finding]:
    """Every field that describes a vendor's record could be read."""
    if checked.audit is not None and checked.audit.oddities:
        shown = [f"{odd.path} ({odd.json_type}): {odd.count}" for odd in checked.audit.oddities]
        yield Finding(
            "unreadable fields, left out: path, JSON type, number", shown, is_warning=True
        )
