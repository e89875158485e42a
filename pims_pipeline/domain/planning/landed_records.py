"""A vendor record as the store knows it, and as it is to be landed.

Pure. Reading and writing them belong in ``store/appointments.py``.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime

from pims_pipeline.domain.moments import discard_future
from pims_pipeline.domain.records.appointments import Client, Patient, PimsAppointment
from pims_pipeline.domain.records.cases import Case
from pims_pipeline.domain.records.words import Meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecord:
    """What the store knows of one vendor identity before the listing is applied.

    Attributes:
        series_id: The vendor's identity of the series, if it is one of a series.
        digest: Of the landed payload; None when the record was never landed.
        last_seen_at: When the latest listing with the record was fetched.
        missing_since: When the first complete listing without it was fetched.
        removed_at: When the vendor was found not to have it any more.
        case: Its case, soft-deleted or not.
        patient: As landed; None when it was never landed as an appointment.
        client: As ``patient``.
        meaning: The meaning of its words when the case last followed them; None when that was
            not stored.
        resources: As landed; see ``PimsAppointment``, also for ``left_out``.
        followed_digest: Of the record that the case last followed, if the landed one changed
            while it was left out; empty if it was always left out.
    """

    pims_id: str
    series_id: str | None = None
    business_date: date | None = None
    scheduled_start: datetime | None = None
    digest: str | None = None
    last_seen_at: datetime | None = None
    missing_since: datetime | None = None
    removed_at: datetime | None = None
    case: Case | None = None
    patient: Patient | None = None
    client: Client | None = None
    meaning: Meaning | None = None
    resources: tuple[str, ...] | None = None
    left_out: bool = False
    followed_digest: str | None = None

    @property
    def case_digest(self) -> str | None:
        """Of the record that the case last followed."""
        return self.digest if self.followed_digest is None else self.followed_digest

    @property
    def vendor_identity(self) -> str:
        """The vendor's identity of the appointment, or of its series."""
        return self.series_id or self.pims_id

    @property
    def starts_at(self) -> datetime | None:
        """When it begins, as landed, else as on its case; aware UTC."""
        if self.scheduled_start is not None or self.case is None:
            return self.scheduled_start
        return self.case.scheduled_start

    @property
    def is_absent(self) -> bool:
        """Whether a listing or a lookup showed that it is gone from its date."""
        return self.missing_since is not None or self.removed_at is not None

    def is_newer_than(self, moment: datetime) -> bool:
        """Whether the store knows something newer than a listing fetched at ``moment``."""
        moments = (self.last_seen_at, self.missing_since, self.removed_at)
        return any(known is not None and known > moment for known in moments)

    def as_of(self, now: datetime) -> "KnownRecord":
        """The record without times after ``now`` (aware): a wrong clock wrote them."""
        moments = (self.last_seen_at, self.missing_since, self.removed_at)
        seen, missing, removed = (discard_future(moment, now) for moment in moments)
        if (seen, missing, removed) == moments:
            return self
        return replace(self, last_seen_at=seen, missing_since=missing, removed_at=removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """A vendor record to be stored as fetched; ``payload`` is canonical JSON.

    Attributes:
        meaning: What its words mean; None unless it makes a case.
    """

    appointment: PimsAppointment
    payload: str
    digest: str
    meaning: Meaning | None = None
