"""Lookups of the appointments that a listing lacks, before a case is retired."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from pims_pipeline.domain.planning.left_out import marked_lookup
from pims_pipeline.domain.planning.reconciliation import must_hold_unseen, to_look_up
from pims_pipeline.domain.planning.retirement import TrackedCase
from pims_pipeline.domain.records.appointments import AppointmentLookup, Snapshot
from pims_pipeline.providers.port import Capability, ContractViolation
from pims_pipeline.sync.phases.audited import PhaseRun
from pims_pipeline.sync.phases.fanout import (
    AppointmentFailure,
    request_concurrently,
    request_in_batches,
)
from pims_pipeline.sync.phases.listing import asked_between
from pims_pipeline.sync.session import ProviderSession

LOOKUP_WORKERS = 5
LOOKUP_BATCH = 50
_SEVERAL = 3
"""If at least this many responses are all invalid, the vendor's interface has changed."""


def look_up_missing(
    phase: PhaseRun,
    session: ProviderSession,
    tracked: Sequence[TrackedCase],
    snapshot: Snapshot,
    *,
    approved: bool,
) -> dict[str, AppointmentLookup] | None:
    """The lookups of the missing appointments; None if the vendor has no lookup.

    Raises:
        TransientError: If every lookup failed.
        ContractViolation: If every one of several responses is invalid. One or two invalid
            responses concern only those appointments, whose cases stay.
    """
    candidates = to_look_up(tracked, snapshot)
    if not candidates or (not approved and must_hold_unseen(tracked, snapshot)):
        return {}
    if not session.has(Capability.LOOKUP):
        return None
    failure: AppointmentFailure | None = None
    phase.progress(0, len(candidates))
    lookups = _looked_up_together(phase, session, candidates)
    rest = [each for each in candidates if each.case.pims_id not in lookups]
    responses = request_concurrently(partial(_look_up, phase, session), rest, LOOKUP_WORKERS)
    for done, (each, response) in enumerate(responses, start=len(lookups) + 1):
        if isinstance(response, AppointmentLookup):
            lookups[each.case.pims_id] = response
        else:
            failure = response
        phase.progress(done, len(candidates))
    are_too_few = isinstance(failure, ContractViolation) and len(candidates) < _SEVERAL
    if failure is not None and not lookups and not are_too_few:
        raise failure
    return lookups


def _looked_up_together(
    phase: PhaseRun, session: ProviderSession, candidates: Sequence[TrackedCase]
) -> dict[str, AppointmentLookup]:
    """The lookups that the vendor gives in batches; without such a vendor, none.

    An appointment that is absent from a batch is not taken for one that is gone: it is looked up
    by itself, like those of a batch that failed.
    """
    if not session.has(Capability.LOOKUP_MANY):
        return {}

    def look_up(batch: Sequence[TrackedCase]) -> dict[str, AppointmentLookup]:
        asked_at = phase.now()
        found = session.look_up_many([each.case.pims_id for each in batch])
        return {name: _settled(phase, each, asked_at) for name, each in found.items()}

    lookups: dict[str, AppointmentLookup] = {}
    for each, lookup in request_in_batches(
        look_up,
        candidates,
        identity=lambda tracked: tracked.case.pims_id,
        size=LOOKUP_BATCH,
        workers=LOOKUP_WORKERS,
    ):
        lookups[each.case.pims_id] = lookup
        phase.progress(len(lookups), len(candidates))
    return lookups


def _look_up(phase: PhaseRun, session: ProviderSession, tracked: TrackedCase) -> AppointmentLookup:
    asked_at = phase.now()
    return _settled(phase, session.look_up(tracked.case.pims_id), asked_at)


def _settled(phase: PhaseRun, lookup: AppointmentLookup, asked_at: datetime) -> AppointmentLookup:
    """The lookup, requested at ``asked_at`` or later, with what the clinic leaves out marked."""
    lookup = replace(lookup, asked_at=asked_between(asked_at, lookup.asked_at, phase.now()))
    return marked_lookup(lookup, phase.clinic.resources)
