"""Misbehaviour on demand: which faults are set, and which of them a request meets.

Only the book-keeping lives here. How a fault looks on the wire is ``responses``'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Endpoint = Literal["listing", "appointment", "consultation", "login"]


class FaultKind(StrEnum):
    """Everything that can be made to go wrong."""

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
    EMPTY_DIARY = "empty_diary"
    DUPLICATES = "duplicates"
    RECORD_WITHOUT_ID = "record_without_id"
    RECORD_WITHOUT_START = "record_without_start"
    DROP_RECORD = "drop_record"
    ZERO_IDS = "zero_ids"
    ODD_BYTES = "odd_bytes"
    JSON_AS_HTML = "json_as_html"
    ODD_DESCRIPTIONS = "odd_descriptions"


DELAYS = frozenset({FaultKind.LATENCY, FaultKind.HANG})
"""Faults that hold the answer back, whatever it then is."""
STALLS = frozenset({FaultKind.DRIP, FaultKind.HANG_AFTER_HEADERS, FaultKind.ENDLESS})
"""Faults whose response begins and does not end in any time that a client should wait."""
SESSION_FAULTS = frozenset(
    {
        FaultKind.SESSION_EXPIRED_REDIRECT,
        FaultKind.SESSION_EXPIRED_401,
        FaultKind.SESSION_EXPIRED_HTML,
    }
)
"""Faults that end the session of the request they strike; the login has none."""
RECORD_FAULTS = frozenset(
    {
        FaultKind.EMPTY_DIARY,
        FaultKind.DUPLICATES,
        FaultKind.RECORD_WITHOUT_ID,
        FaultKind.RECORD_WITHOUT_START,
        FaultKind.DROP_RECORD,
        FaultKind.ZERO_IDS,
    }
)
"""Faults in the listing's records; they never touch another endpoint, and add up."""

ODDITIES = frozenset({FaultKind.ODD_BYTES, FaultKind.JSON_AS_HTML, FaultKind.ODD_DESCRIPTIONS})
"""Right answers that are put oddly; the login page, which is no JSON, never is."""


@dataclass(slots=True)
class Fault:
    """One fault as it was asked for.

    Attributes:
        endpoint: Where it strikes; ``None`` is anywhere it can.
        company_id: Whose requests it strikes; ``None`` is everyone's.
        times: How many requests it strikes; ``None`` goes on until cleared.
        seconds: How long a latency lasts; for a drip, the pause after each byte (4 when 0).
        retry_after: Seconds a 429 names; ``None`` leaves the header out.
        appointment_id: The record a partial listing leaves out.
    """

    kind: FaultKind
    endpoint: Endpoint | None = None
    company_id: str | None = None
    times: int | None = 1
    seconds: float = 0.0
    retry_after: float | None = None
    appointment_id: int | None = None

    def strikes(self, endpoint: Endpoint, company_id: str | None) -> bool:
        """Whether a request to ``endpoint`` for that clinic meets this fault."""
        if self.kind in RECORD_FAULTS and endpoint != "listing":
            return False
        if self.kind in SESSION_FAULTS | ODDITIES and endpoint == "login":
            return False
        return self.endpoint in {None, endpoint} and self.company_id in {None, company_id}


@dataclass(slots=True)
class Struck:
    """The faults one request meets."""

    delays: Sequence[Fault] = ()
    answer: Fault | None = None
    records: Sequence[Fault] = ()


@dataclass(slots=True)
class FaultBook:
    """The faults that are set, oldest first."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Set one more fault."""
        self.faults.append(fault)

    def clear(self) -> None:
        """Behave again."""
        self.faults.clear()

    def strike(self, endpoint: Endpoint, company_id: str | None) -> Struck:
        """The faults this request meets; each of them has then struck once more.

        A request meets every delay, and then either one whole answer that is wrong, or
        whatever is wrong with the listing's records, oddly put or not.
        """
        met = [fault for fault in self.faults if fault.strikes(endpoint, company_id)]
        delays = [fault for fault in met if fault.kind in DELAYS]
        records = [fault for fault in met if fault.kind in RECORD_FAULTS]
        wrong = [f for f in met if f.kind not in DELAYS | RECORD_FAULTS | ODDITIES]
        if wrong:
            records = []
        answer = next((f for f in [*wrong, *met] if f in wrong or f.kind in ODDITIES), None)
        self._use([*delays, *records, *([answer] if answer else [])])
        return Struck(delays=delays, answer=answer, records=records)

    def _use(self, used: list[Fault]) -> None:
        for fault in used:
            if fault.times is not None:
                fault.times -= 1
        self.faults = [fault for fault in self.faults if fault.times is None or fault.times > 0]
