"""What cases are owed although the vendor said nothing new: a part of phase 1's plan.

Pure. Applied by ``catch_up`` in ``pims_pipeline.sync.inbound``.
"""

from dataclasses import replace

from pims_pipeline.domain.cases import EventKind
from pims_pipeline.domain.inbound import InboundPlan


def without_vendor_changes(plan: InboundPlan) -> InboundPlan:
    """What of a plan over the stored calendar is due although the vendor said nothing new.

    Words that have come to mean something else, another patient's consultation, metadata that
    cannot be read. Cases come and go by a fresh listing alone.
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
        sightings=(),
        missing=(),
        case_writes=tuple(each for each in plan.case_writes if each.pims_id not in left_out),
        meanings={name: each for name, each in plan.meanings.items() if name not in left_out},
        recheck=tuple(each for each in plan.recheck if each not in left_out),
    )
