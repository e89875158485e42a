"""Whether a case that a listing lacks is retired, and why.

Pure. Add a reason for a retirement here. Which cases a listing lacks, and how many may be retired
at once, belongs in ``reconciliation``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from pims_pipeline.domain.moments import discard_future
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.cases import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedCase:
    """An active case of the window, with what is known of its appointment.

    Attributes:
        appointment: As landed; None when it was never landed.
        last_seen_at: When the latest listing with the appointment was fetched.
        missing_since: When the first complete listing without it was fetched.
        removed_at: When the vendor was found not to have it any more.
    """

    case: Case
    appointment: PimsAppointment | None = None
    last_seen_at: datetime | None = None
    missing_since: datetime | None = None
    removed_at: datetime | None = None

    @property
    def vendor_identity(self) -> str:
        """The vendor's identity of the appointment, or of its series."""
        return self.appointment.vendor_identity if self.appointment else self.case.pims_id

    def as_of(self, now: datetime) -> "TrackedCase":
        """The case without times after ``now`` (aware): a wrong clock wrote them."""
        moments = (self.last_seen_at, self.missing_since, self.removed_at)
        seen, missing, removed = (discard_future(moment, now) for moment in moments)
        if (seen, missing, removed) == moments:
            return self
        return replace(self, last_seen_at=seen, missing_since=missing, removed_at=removed)


class RetirementReason(StrEnum):
    """What is known of the appointment of a retired case. The values are stored with the case."""

    UNKNOWN_TO_VENDOR = "unknown_to_vendor"
    DELETED_BY_VENDOR = "deleted_by_vendor"
    NOT_AN_APPOINTMENT = "not_an_appointment"
    AT_ANOTHER_LOCATION = "at_another_location"
    ABSENT_TWICE = "absent_twice"
    ABSENT_APPROVED = "absent_approved"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """A case to be soft-deleted, and why.

    Attributes:
        gone_at: When the vendor is known not to have the appointment any more; aware UTC. Of one
            that is left out, when it was found to be.
    """

    case: Case
    reason: RetirementReason
    gone_at: datetime

    @property
    def is_left_out(self) -> bool:
        """Whether the vendor has the appointment, and the clinic does not sync its resources."""
        return self.reason is RetirementReason.LEFT_OUT


def listed_as_left_out(snapshot: Snapshot) -> frozenset[str]:
    """The identities of the listing's appointments that the clinic leaves out."""
    return frozenset(each.appointment_id for each in snapshot.appointments if each.left_out)


def own_lookups(
    candidates: Iterable[TrackedCase],
    snapshot: Snapshot,
    lookups: Mapping[str, AppointmentLookup],
) -> dict[str, AppointmentLookup]:
    """By identity, the lookups that describe exactly the appointment that was looked up.

    The occurrences of a series share one vendor identity, and so one lookup. A lookup with a start
    applies to the occurrence with that start. If the vendor does not know the identity any more,
    that applies to every occurrence, unless the listing holds another one.
    """
    listed = {each.vendor_identity for each in snapshot.appointments}
    own: dict[str, AppointmentLookup] = {}
    for tracked in candidates:
        lookup = lookups.get(tracked.case.pims_id)
        if lookup is None:
            continue
        landed = tracked.appointment
        if landed is not None and landed.series_id is not None:
            is_gone = not lookup.found or (lookup.deleted and lookup.scheduled_start is None)
            if is_gone and landed.series_id in listed:
                continue
            if not is_gone and lookup.scheduled_start != landed.scheduled_start:
                continue
        own[tracked.case.pims_id] = lookup
    return own


def is_about_other_occurrences(
    tracked: TrackedCase,
    lookups: Mapping[str, AppointmentLookup],
    own: Mapping[str, AppointmentLookup],
) -> bool:
    """Whether the vendor responded, but only about other occurrences of the series."""
    return tracked.case.pims_id in lookups and tracked.case.pims_id not in own


def reason_if_approved(
    tracked: TrackedCase,
    reason: RetirementReason | None,
    approved: frozenset[UUID],
    *,
    can_ask: bool,
) -> RetirementReason | None:
    """The reason under a person's approval, which covers only the approved cases.

    If the vendor has no lookup, the approval replaces the second listing.
    """
    if tracked.case.id not in approved:
        return None
    if reason is None and not can_ask:
        return RetirementReason.ABSENT_APPROVED
    return reason


def reason_to_retire(
    tracked: TrackedCase,
    snapshot: Snapshot,
    absence_interval: timedelta,
    lookup: AppointmentLookup | None,
    *,
    can_ask: bool,
) -> RetirementReason | None:
    """Why the case is retired; None when it stays.

    Args:
        tracked: A case that the listing lacks.
        snapshot: The listing.
        absence_interval: See ``DeletionPolicy``.
        lookup: The vendor's response for this appointment, if there is one.
        can_ask: Whether the vendor can look up this appointment.
    """
    if lookup is not None:
        # The vendor's present response outweighs earlier findings.
        return _reason_in(lookup)
    if tracked.removed_at is not None:
        return RetirementReason.UNKNOWN_TO_VENDOR
    if can_ask:
        return None
    if tracked.appointment and tracked.appointment.kind is not RecordKind.APPOINTMENT:
        # A listing holds it as another kind of record, so it is not absent.
        return RetirementReason.NOT_AN_APPOINTMENT
    if _is_absent_twice(tracked, snapshot, absence_interval):
        return RetirementReason.ABSENT_TWICE
    return None


def _reason_in(lookup: AppointmentLookup) -> RetirementReason | None:
    if lookup.exists:
        return RetirementReason.LEFT_OUT if lookup.left_out else None
    if not lookup.found:
        return RetirementReason.UNKNOWN_TO_VENDOR
    if lookup.deleted:
        return RetirementReason.DELETED_BY_VENDOR
    if lookup.at_another_location:
        return RetirementReason.AT_ANOTHER_LOCATION
    return RetirementReason.NOT_AN_APPOINTMENT


def _is_absent_twice(tracked: TrackedCase, snapshot: Snapshot, absence_interval: timedelta) -> bool:
    """Whether an earlier, other listing lacked the appointment too."""
    since = tracked.missing_since
    return (
        since is not None
        and since < snapshot.fetched_at
        and snapshot.fetched_at - since >= absence_interval
        and not snapshot.hides_identities
    )


def updated_by_lookup(tracked: TrackedCase, lookup: AppointmentLookup) -> PimsAppointment | None:
    """The landed record with the time and status of the lookup; None when nothing differs."""
    landed = tracked.appointment
    if landed is None or lookup.scheduled_start is None or lookup.business_date is None:
        return None
    length = landed.scheduled_end - landed.scheduled_start
    seen = replace(
        landed,
        scheduled_start=lookup.scheduled_start,
        scheduled_end=lookup.scheduled_end or lookup.scheduled_start + length,
        business_date=lookup.business_date,
        status=lookup.status or landed.status,
        left_out=lookup.left_out if lookup.resources else landed.left_out,
    )
    return None if seen == landed else seen
