"""Faults on demand: which ones are set, and which of them apply to a request.

Add a kind of fault here; what it does to a response belongs in a vendor's ``responses``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from pims_pipeline.simulator.practice.clinics import Vendor

Endpoint = Literal["listing", "appointment", "consultation", "dictionary", "login"]


class FaultKind(StrEnum):
    """The kinds of faults."""

    SESSION_EXPIRED_REDIRECT = "session_expired_redirect"
    SESSION_EXPIRED_401 = "session_expired_401"
    SESSION_EXPIRED_HTML = "session_expired_html"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    CUT_OFF = "cut_off"
    TRUNCATED_JSON = "truncated_json"
    HTML = "html"
    NOT_A_LIST = "not_a_list"
    LATENCY = "latency"
    HANG = "hang"
    DRIP = "drip"
    HANG_AFTER_HEADERS = "hang_after_headers"
    ENDLESS = "endless"
    EMPTY_CALENDAR = "empty_calendar"
    DUPLICATES = "duplicates"
    RECORD_WITHOUT_ID = "record_without_id"
    RECORD_WITHOUT_START = "record_without_start"
    DROP_RECORD = "drop_record"
    ZERO_IDS = "zero_ids"
    ODD_BYTES = "odd_bytes"
    JSON_AS_HTML = "json_as_html"
    ODD_DESCRIPTIONS = "odd_descriptions"
    UNKNOWN_WORDS = "unknown_words"
    FORBIDDEN = "forbidden"
    GRAPHQL_ERRORS = "graphql_errors"
    PARTIAL_DATA = "partial_data"
    POISONED_ROW = "poisoned_row"
    OTHER_LOCATION = "other_location"


DELAYS = frozenset({FaultKind.LATENCY, FaultKind.HANG})
"""Faults that delay a response, and do not change it."""
STALLS = frozenset({FaultKind.DRIP, FaultKind.HANG_AFTER_HEADERS, FaultKind.ENDLESS})
"""Faults whose response begins, and does not end within any sensible timeout."""
SESSION_FAULTS = frozenset(
    {
        FaultKind.SESSION_EXPIRED_REDIRECT,
        FaultKind.SESSION_EXPIRED_401,
        FaultKind.SESSION_EXPIRED_HTML,
    }
)
"""Faults that end the session of the request; the login has none."""
RECORD_FAULTS = frozenset(
    {
        FaultKind.EMPTY_CALENDAR,
        FaultKind.DUPLICATES,
        FaultKind.RECORD_WITHOUT_ID,
        FaultKind.RECORD_WITHOUT_START,
        FaultKind.DROP_RECORD,
        FaultKind.ZERO_IDS,
        FaultKind.UNKNOWN_WORDS,
        FaultKind.POISONED_ROW,
        FaultKind.OTHER_LOCATION,
    }
)
"""Faults in the listing's records; several can apply to one listing."""

ODDITIES = frozenset({FaultKind.ODD_BYTES, FaultKind.JSON_AS_HTML, FaultKind.ODD_DESCRIPTIONS})
"""Sound responses in an odd form; they do not apply to the login page, which is no JSON."""

VENDOR_OF: Mapping[FaultKind, Vendor] = MappingProxyType(
    {
        **dict.fromkeys(SESSION_FAULTS, "idexx_neo"),
        FaultKind.UNKNOWN_WORDS: "vetspire",
        FaultKind.FORBIDDEN: "vetspire",
        FaultKind.GRAPHQL_ERRORS: "vetspire",
        FaultKind.PARTIAL_DATA: "vetspire",
        FaultKind.POISONED_ROW: "vetspire",
        FaultKind.OTHER_LOCATION: "vetspire",
    }
)
"""The vendor of each fault that only one vendor has."""
UNKNOWN_STATUS = "Waiting in car"
"""A status of no vendor's, which ``unknown_words`` gives every record of a listing."""
LASTING = frozenset({FaultKind.POISONED_ROW})
"""Faults of a record, which last until they are cleared, however often they apply."""


def faults_of(vendor: Vendor) -> tuple[FaultKind, ...]:
    """The faults that a vendor has, in their order."""
    return tuple(kind for kind in FaultKind if VENDOR_OF.get(kind, vendor) == vendor)


@dataclass(slots=True)
class Fault:
    """One fault that is set.

    Attributes:
        endpoint: The endpoint it applies to; ``None`` means every endpoint that it can.
        company_id: The clinic it applies to; ``None`` means all.
        times: How many requests it applies to; ``None`` lasts until it is cleared.
        seconds: The length of a latency; for a drip, the pause after each byte (4 when 0).
        retry_after: Seconds in the header of a 429; ``None`` leaves the header out.
        appointment_id: The record that a listing leaves out, or that it cannot show.
    """

    kind: FaultKind
    endpoint: Endpoint | None = None
    company_id: str | None = None
    times: int | None = 1
    seconds: float = 0.0
    retry_after: float | None = None
    appointment_id: int | None = None

    def applies_to(self, endpoint: Endpoint, company_id: str | None, vendor: Vendor) -> bool:
        """Whether the fault applies to a request to ``endpoint`` for that clinic."""
        if VENDOR_OF.get(self.kind, vendor) != vendor:
            return False
        if self.kind in RECORD_FAULTS and endpoint != "listing":
            return False
        if self.kind in SESSION_FAULTS | ODDITIES and endpoint == "login":
            return False
        return self.endpoint in {None, endpoint} and self.company_id in {None, company_id}


@dataclass(slots=True)
class RequestFaults:
    """The faults that apply to one request.

    Attributes:
        response: The fault of the response as a whole.
        records: The faults of the listing's records.
    """

    delays: Sequence[Fault] = ()
    response: Fault | None = None
    records: Sequence[Fault] = ()


@dataclass(slots=True)
class ActiveFaults:
    """The faults that are set, oldest first."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Set one more fault."""
        self.faults.append(fault)

    def clear(self) -> None:
        """Remove every fault."""
        self.faults.clear()

    def take(
        self, endpoint: Endpoint, company_id: str | None, vendor: Vendor = "idexx_neo"
    ) -> RequestFaults:
        """The faults that apply to a request, each counted as used once more.

        These are every delay, and then either one fault of the whole response, or the faults of
        the listing's records with at most one oddity.
        """
        applying = [
            fault for fault in self.faults if fault.applies_to(endpoint, company_id, vendor)
        ]
        delays = [fault for fault in applying if fault.kind in DELAYS]
        records = [fault for fault in applying if fault.kind in RECORD_FAULTS]
        wrong = [f for f in applying if f.kind not in DELAYS | RECORD_FAULTS | ODDITIES]
        if wrong:
            records = []
        response = next((f for f in [*wrong, *applying] if f in wrong or f.kind in ODDITIES), None)
        self._use([*delays, *records, *([response] if response else [])])
        return RequestFaults(delays=delays, response=response, records=records)

    def _use(self, used: list[Fault]) -> None:
        for fault in used:
            if fault.times is not None and fault.kind not in LASTING:
                fault.times -= 1
        self.faults = [fault for fault in self.faults if fault.times is None or fault.times > 0]
