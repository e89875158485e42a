"""Phase 2: fetch the due consultations concurrently, and write them to their cases.

The same transaction updates cases whose landed records have a new meaning. One appointment's
failure is recorded and never stops the others. An error of the whole clinic (refused credentials,
a session that cannot be renewed) ends the phase. Writing belongs in ``consultations``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.enrichment import (
    ConsultationPlan,
    EnrichableCase,
    FetchedConsultation,
    plan_enrichment,
)
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.domain.records.oddities import combined
from pims_pipeline.domain.records.shapes import FieldShape
from pims_pipeline.providers.port import Capability, ContractViolation, TimeLimitReached
from pims_pipeline.store.cases.reading import enrichable_cases
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.audited import PhaseRun, audited
from pims_pipeline.sync.phases.consultations import (
    FailedFetch,
    counts_by_date,
    mismatches,
    record_failed,
    write_fetched,
)
from pims_pipeline.sync.phases.fanout import request_concurrently, request_in_batches
from pims_pipeline.sync.phases.inbound import catch_up
from pims_pipeline.sync.session import ProviderSession

DEFAULT_WORKERS = 5
CONSULTATION_BATCH = 25


@dataclass(frozen=True, slots=True)
class _Work:
    """The work of the phase.

    Attributes:
        due: The cases whose consultations are due.
        is_behind: Whether cases must be updated from their landed records.
    """

    due: Sequence[EnrichableCase]
    is_behind: bool


@dataclass(frozen=True, slots=True)
class _Fetches:
    """The results of the fetches so far."""

    fetched: list[FetchedConsultation] = field(default_factory=list)
    failed: list[FailedFetch] = field(default_factory=list)


class _AllFetchesFailed(Exception):
    """Every one of several fetches failed."""

    def __init__(self, failed: Sequence[FailedFetch]) -> None:
        super().__init__()
        self.failed = failed


def enrich_cases(
    context: SyncContext,
    clinic: Clinic,
    window: DateRange,
    session: ProviderSession,
    *,
    workers: int = DEFAULT_WORKERS,
    audit_id: UUID | None = None,
) -> PhaseOutcome:
    """Fetch the due consultations and write them to the window's cases.

    Args:
        context: The run's store, vault and rules.
        clinic: The clinic of the cases.
        window: The business dates of the cases.
        session: The session at the vendor.
        workers: How many consultations are fetched concurrently.
        audit_id: See ``audited``.

    Raises:
        PimsError: If the vendor cannot be reached, or if every one of several fetches failed.
        TimeLimitReached: If the time limit was reached; what was fetched is written.
    """
    with audited(context, clinic, Phase.CASES, window, audit_id=audit_id) as phase:
        work = phase.preview(partial(_work, phase=phase))
        fetches = _Fetches()
        try:
            _fetch_all(phase, session, work.due, workers, fetches)
            return phase.apply(partial(_finish, phase=phase, work=work, fetches=fetches))
        except TimeLimitReached as error:
            # Write it, so that each run makes progress with a slow vendor.
            phase.apply(
                partial(_apply_partially, phase=phase, work=work, fetches=fetches, error=error)
            )
            raise
        except _AllFetchesFailed as error:
            failed = error.failed
        phase.apply(partial(_fail, phase=phase, failed=failed))
        raise failed[0].error


def _work(connection: Connection, phase: PhaseRun) -> _Work:
    """The work that remains after updating the cases from their landed records.

    The update is written together with the fetched consultations: a phase whose fetches all
    fail changes no case.
    """
    is_behind = bool(catch_up(connection, phase))
    cases = enrichable_cases(connection, phase.clinic, phase.window)
    plan = plan_enrichment(cases, phase.now(), phase.context.enrichment_policy)
    return _Work([case for case, _ in plan.due], is_behind)


def _apply_partially(
    connection: Connection,
    phase: PhaseRun,
    *,
    work: _Work,
    fetches: _Fetches,
    error: TimeLimitReached,
) -> None:
    if work.is_behind:
        catch_up(connection, phase)
    _, failed = _write(connection, phase, work, fetches)
    record_failed(connection, phase, failed)
    phase.fail(connection, error)


def _finish(
    connection: Connection, phase: PhaseRun, *, work: _Work, fetches: _Fetches
) -> PhaseOutcome:
    """Write what was fetched, and the receipt.

    Raises:
        _AllFetchesFailed: If every one of several fetches failed.
    """
    due = work.due
    caught_up = catch_up(connection, phase) if work.is_behind else ()
    plan, failed = _write(connection, phase, work, fetches)
    if len(due) == len(failed) >= phase.context.enrichment_policy.min_fetches_to_fail:
        raise _AllFetchesFailed(failed)
    record_failed(connection, phase, failed)
    enriched = (write.case.case_id for write in plan.writes)
    return phase.finish(
        connection,
        by_date=counts_by_date(due, plan, failed),
        changed_case_ids=tuple(dict.fromkeys((*caught_up, *enriched))),
        implausible_case_ids=tuple(sorted(plan.implausible)),
        oddities=combined(
            odd
            for each in fetches.fetched
            if each.consultation
            for odd in each.consultation.oddities
        ),
        shapes=_shapes(fetches),
    )


def _shapes(fetches: _Fetches) -> Iterator[FieldShape]:
    """What the vendor sent, also in responses that could not be read."""
    for each in fetches.fetched:
        yield from each.consultation.shapes if each.consultation else ()
    for failed in fetches.failed:
        yield from failed.error.shapes if isinstance(failed.error, ContractViolation) else ()


def _write(
    connection: Connection, phase: PhaseRun, work: _Work, fetches: _Fetches
) -> tuple[ConsultationPlan, list[FailedFetch]]:
    """Write what was fetched; also return what failed, with consultations of other patients."""
    plan = write_fetched(connection, phase, fetches.fetched)
    return plan, [*fetches.failed, *mismatches(work.due, plan, phase.clinic)]


def _fail(connection: Connection, phase: PhaseRun, *, failed: Sequence[FailedFetch]) -> None:
    record_failed(connection, phase, failed)
    phase.fail(connection, failed[0].error)


def _fetch_all(
    phase: PhaseRun,
    session: ProviderSession,
    due: Sequence[EnrichableCase],
    workers: int,
    into: _Fetches,
) -> None:
    """Fetch what is due; ``into`` holds the results so far, also when this raises."""

    def fetch(case: EnrichableCase) -> FetchedConsultation:
        asked_at = phase.now()
        consultation = session.request(
            lambda provider: provider.fetch_consultation(case.appointment)
        )
        return _fetched(case, asked_at, consultation)

    phase.progress(0, len(due))
    _fetch_together(phase, session, due, workers, into)
    done = {each.case_id for each in into.fetched}
    rest = [case for case in due if case.case_id not in done]
    responses = request_concurrently(fetch, rest, workers)
    for count, (case, response) in enumerate(responses, start=len(done) + 1):
        if isinstance(response, FetchedConsultation):
            into.fetched.append(response)
        else:
            into.failed.append(FailedFetch(case, response))
        phase.progress(count, len(due))


def _fetch_together(
    phase: PhaseRun,
    session: ProviderSession,
    due: Sequence[EnrichableCase],
    workers: int,
    into: _Fetches,
) -> None:
    """Fetch in batches what the vendor gives in batches; it may leave some out, or all."""
    if len(due) == 0 or not session.has(Capability.CONSULTATION_BATCHES):
        return

    def fetch(batch: Sequence[EnrichableCase]) -> dict[str, FetchedConsultation]:
        asked_at = phase.now()
        found = session.fetch_consultations([case.appointment for case in batch])
        return {
            name: _fetched(case, asked_at, found[name])
            for case in batch
            if (name := case.appointment.appointment_id) in found
        }

    for _, fetched in request_in_batches(
        fetch,
        due,
        identity=lambda case: case.appointment.appointment_id,
        size=CONSULTATION_BATCH,
        workers=workers,
    ):
        into.fetched.append(fetched)
        phase.progress(len(into.fetched), len(due))


def _fetched(
    case: EnrichableCase, asked_at: datetime, consultation: PimsConsultation | None
) -> FetchedConsultation:
    return FetchedConsultation(
        case_id=case.case_id,
        asked_at=asked_at,
        consultation=consultation,
        asked_for=case.appointment,
    )
