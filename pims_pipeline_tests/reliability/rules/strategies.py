"""What the rules draw: days, appointments, statuses, edits, faults, phases."""

from datetime import date
from typing import Literal

from hypothesis import strategies as st

from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.resources import ALL_RESOURCES, ResourceFilter
from pims_pipeline.simulator.faults import STALLS, FaultKind, faults_of
from pims_pipeline_tests.reliability.clinic.operators import OVERWRITES
from pims_pipeline_tests.reliability.clinic.pipeline import FULL

PLACES = st.sampled_from(
    [
        ("1001", date(2026, 3, 8)),  # clocks go forward in New York
        ("1001", date(2026, 11, 1)),  # and back
        ("1002", date(2026, 3, 29)),
        ("1003", date(2026, 10, 4)),
        ("1003", date(2026, 6, 10)),
    ]
)
DAYS = st.integers(-3, 3)
ROOMS = st.sampled_from(["Room 1", "Room 1", "Room 2", "Annexe", None])
"""Rooms by name; the vendor's dictionary lacks the annexe."""
FILTERS = st.sampled_from(
    [
        *[ALL_RESOURCES] * 3,
        ResourceFilter(excluded=frozenset({"room:12"})),
        ResourceFilter(included=frozenset({"room:11"})),
        ResourceFilter(included=frozenset({"room:11", "room:12"})),
    ]
)
HOURS = st.sampled_from([(2, 30), (0, 0), (8, 0), (11, 30), (16, 0), (23, 59)])
WORDS_SEEN = ("not arrived", "Confirmed", "In Progress", "Ready to Pay", "No Show")
WORDS = st.sampled_from([*WORDS_SEEN, "Lost in Space"])
WHICH = st.integers(0, 20)
"""An appointment, as an index modulo the number of appointments."""
SOME_PHASES: st.SearchStrategy[tuple[Phase, ...]] = st.sampled_from(
    [(phase,) for phase in Phase] + [FULL] * 2
)
Edit = tuple[str, str, int]
"""What is edited, how (a value or an edit's name), and of which appointment."""


def _of(what: str, *how: str) -> st.SearchStrategy[Edit]:
    return st.tuples(st.just(what), st.sampled_from(how), WHICH)


USER_EDITS: st.SearchStrategy[Edit] = st.one_of(
    _of("status", "draft", "ongoing", "completed", "reviewed"),
    _of("case_type", "checkup", "surgery", "emergency", "follow_up"),
    _of("note", "a", "b"),
    _of("overwrite", *OVERWRITES),
)
VENDOR_EDITS = st.one_of(
    _of("vendor", "delete", "restore", "cancel", "finish"), _of("rebook", "none", "same", "new")
)
EDITS = st.one_of(VENDOR_EDITS, VENDOR_EDITS, USER_EDITS)
Endpoint = Literal["listing", "appointment", "consultation", "any"]
ENDPOINTS: st.SearchStrategy[Endpoint] = st.sampled_from(
    ["listing", "appointment", "consultation", "any"]
)
ALWAYS_WRONG = st.sampled_from(
    [FaultKind.SERVER_ERROR, FaultKind.HTML, FaultKind.NOT_A_LIST, FaultKind.TRUNCATED_JSON,
     FaultKind.CUT_OFF, FaultKind.RATE_LIMITED, FaultKind.SESSION_EXPIRED_HTML]
)  # fmt: skip
FAULTS = st.sampled_from(
    [kind for kind in faults_of("idexx_neo") if kind not in {FaultKind.HANG, *STALLS}]
)
