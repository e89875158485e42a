"""Which appointments of a listing need no decision, so that the store returns only the others.

Pure. The store compares digests and the rest of what ``inbound_decisions.decide`` looks at
(``store/queries/unchanged_records.py``). What cannot be compared record by record is decided on as
before.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from pims_pipeline.domain.planning.inbound_decisions import landing_of
from pims_pipeline.domain.planning.landed_records import KnownRecord, Landing
from pims_pipeline.domain.records.appointments import PimsAppointment, Snapshot
from pims_pipeline.domain.records.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedListing:
    """A listing beside what the store knows of it.

    Attributes:
        snapshot: The listing, without the unchanged appointments.
        known: By identity: the known records of the snapshot, and every landed record of its
            window, without the unchanged ones.
        unchanged: The appointments that are landed as listed and need no decision.
        prepared: By identity, landings that were made for the comparison.
    """

    snapshot: Snapshot
    known: Mapping[str, KnownRecord]
    unchanged: tuple[PimsAppointment, ...] = ()
    prepared: Mapping[str, Landing] = field(default_factory=dict)


def comparable(snapshot: Snapshot, words: Words) -> list[Landing]:
    """The listing's appointments that no other record of the listing concerns, to be compared.

    An appointment of a series is identified by its other occurrences, and an unreadable record
    may be any of them: ``series.recognized`` decides on those.
    """
    shared = {identity for identity, _ in snapshot.elsewhere}
    shared.update(each.pims_id for each in snapshot.quarantined if each.pims_id)
    shared.update(snapshot.unreadable_elsewhere)
    times = Counter([each.vendor_identity for each in snapshot.appointments])
    return [
        landing_of(each, words)
        for each in snapshot.appointments
        if each.series_id is None
        and times[each.appointment_id] == 1
        and each.appointment_id not in shared
    ]


def divided(
    snapshot: Snapshot, unchanged: Collection[str]
) -> tuple[Snapshot, tuple[PimsAppointment, ...]]:
    """The listing without the appointments of these identities, and those."""
    if not unchanged:
        return snapshot, ()
    rest = tuple(each for each in snapshot.appointments if each.appointment_id not in unchanged)
    same = tuple(each for each in snapshot.appointments if each.appointment_id in unchanged)
    return replace(snapshot, appointments=rest), same
