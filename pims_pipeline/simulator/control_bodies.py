"""The bodies of requests to ``/_control``: camelCase on the wire, unknown fields refused.

What a request does belongs in ``control``.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from pims_pipeline.simulator.faults import (
    LASTING,
    ODDITIES,
    RECORD_FAULTS,
    SESSION_FAULTS,
    Endpoint,
    FaultKind,
)
from pims_pipeline.simulator.practice.calendar import RebookedConsultation
from pims_pipeline.simulator.practice.clinics import ListingShape
from pims_pipeline.simulator.practice.page_edits import PageAction
from pims_pipeline.simulator.state import ForeignLocation
from pims_pipeline.simulator.vendors.idexx_neo.login_pages import LoginPage
from pims_pipeline.simulator.vendors.idexx_neo.sessions import ExpiredMode, LoginMode
from pims_pipeline.simulator.vendors.idexx_neo.wire import DeletedLookup


def parse_local(value: object) -> datetime:
    """``YYYY-MM-DD HH:MM``, with or without seconds, as a naive local time.

    Raises:
        ValueError: If it is anything else, a time with a zone included.
    """
    wanted = "give a clinic-local time as YYYY-MM-DD HH:MM, without a zone"
    if not isinstance(value, str):
        raise ValueError(wanted)  # noqa: TRY004 - pydantic reports ValueError, not TypeError
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(wanted) from error
    if moment.tzinfo is not None or ":" not in value:
        raise ValueError(wanted)
    return moment


LocalTime = Annotated[datetime, BeforeValidator(parse_local)]


class _Body(BaseModel):
    """A request body: camelCase on the wire, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class BookBody(_Body):
    """An appointment to book."""

    start: LocalTime
    minutes: int = Field(default=30, ge=1, le=24 * 60)
    patient_name: str = "Juniper"
    client_name: str = "Sam Booker"
    type: str | None = "Consultation"
    status: str = "not arrived"
    species: str = "Canine"
    reason: str | None = None
    room: str | None = None
    provider: str | None = None


class RoomBody(_Body):
    """Which room, by its name at the start; another name is a room that the dictionary lacks."""

    room: str | None


class ProviderBody(_Body):
    """Which provider, by the name at the start; another name is one that the vendor lacks."""

    provider: str | None


class RoomNameBody(_Body):
    """A room's new name."""

    name: str = Field(min_length=1)


class MoveBody(_Body):
    """Where to move a record."""

    start: LocalTime


class StatusBody(_Body):
    """A status; any text will do."""

    status: str = Field(min_length=1)


class FinishBody(_Body):
    """How to finish an appointment; without notes, it keeps the made-up ones."""

    notes_html: str | None = None


class NotesBody(_Body):
    """The notes to write."""

    html: str


class PatientBody(_Body):
    """The animal's right name."""

    name: str = Field(min_length=1)


class SeriesBody(_Body):
    """The record whose identity is shared."""

    series_id: int


class RebookBody(_Body):
    """The new patient and client; one that is not named stays."""

    patient_name: str | None = Field(default=None, min_length=1)
    species: str = "Canine"
    client_name: str | None = Field(default=None, min_length=1)
    consultation: RebookedConsultation = "none"


class ExpireBody(_Body):
    """How requests of the ended sessions are refused."""

    mode: ExpiredMode = "redirect"


class LoginBody(_Body):
    """What comes between a right password and a session."""

    mode: LoginMode


class SettingsBody(_Body):
    """Changes to how clinics respond; what is left out stays."""

    company_id: str | None = None
    listing_shape: ListingShape | None = None
    deleted_lookup: DeletedLookup | None = None
    expired_mode: ExpiredMode | None = None
    login_page: LoginPage | None = None
    foreign_location: ForeignLocation | None = None


class PageEditBody(_Body):
    """An edit that is made as soon as the listing was requested so many times more."""

    action: PageAction
    after_pages: int = Field(default=1, ge=1)
    appointment_id: int | None = None
    start: LocalTime | None = None

    @model_validator(mode="after")
    def _names_what_it_needs(self) -> "PageEditBody":
        if self.action != "book" and self.appointment_id is None:
            raise ValueError(f"{self.action} needs appointmentId")
        if self.action in {"book", "move"} and self.start is None:
            raise ValueError(f"{self.action} needs start")
        return self


class FaultBody(_Body):
    """A fault to set; see ``Fault``."""

    kind: FaultKind
    endpoint: Endpoint | Literal["any"] = "any"
    company_id: str | None = None
    times: int | None = Field(default=1, ge=1)
    seconds: float = Field(default=0.0, ge=0, le=3600)
    retry_after: float | None = Field(default=1.0, ge=0)
    appointment_id: int | None = None

    @model_validator(mode="after")
    def _names_what_it_needs(self) -> "FaultBody":
        names_a_record = {FaultKind.DROP_RECORD, *LASTING}
        if self.kind in names_a_record and self.appointment_id is None:
            raise ValueError(f"{self.kind} needs appointmentId")
        if self.kind is FaultKind.LATENCY and self.seconds == 0:
            raise ValueError("latency needs seconds")
        if self.kind in RECORD_FAULTS and self.endpoint not in {"any", "listing"}:
            raise ValueError(f"{self.kind} applies to the listing only")
        if self.kind in SESSION_FAULTS | ODDITIES and self.endpoint == "login":
            raise ValueError(f"{self.kind} does not apply to the login")
        return self
