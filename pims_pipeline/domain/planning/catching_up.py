"""The part of phase 1's plan that is due although the vendor changed nothing.

Pure. ``catch_up`` in ``pims_pipeline.sync.phases.inbound`` applies it.
"""

from dataclasses import replace

from pims_pipeline.domain.planning.inbound import InboundPlan
from pims_pipeline.domain.records.cases import EventKind


def without_vendor_changes(plan: InboundPlan) -> InboundPlan:
    """A plan over the stored calendar, without what only a fresh listing may change.

    Keeps: words with a new meaning, another patient's consultation, unreadable metadata. Only a
    fresh listing creates, restores or retires cases.
    """
    landed = {landing.appointment.appointment_id for landing in plan.landings}
    left_out = landed | {
        write.pims_id
        for write in plan.case_writes
        if write.kind in {EventKind.CREATED, EventKind.RESTORED}
    }
    return replace(
        plan,
        landings=(),
        placements=(),
        sightings=(),
        missing=(),
        case_writes=tuple(each for each in plan.case_writes if each.pims_id not in left_out),
        meanings={name: each for name, each in plan.meanings.items() if name not in left_out},
        recheck=tuple(each for each in plan.recheck if each not in left_out),
    )
