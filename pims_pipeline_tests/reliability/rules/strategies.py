"""What the rules draw: days, appointments, statuses, edits, faults, phases."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Literal, TypeVar

from hypothesis import strategies as st

from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.resources import ALL_RESOURCES, ResourceFilter
from pims_pipeline.domain.records.words import CaseStatus
from pims_pipeline.simulator.faults import STALLS, FaultKind
from pims_pipeline_tests.reliability.clinic.operators import OVERWRITES
from pims_pipeline_tests.reliability.clinic.pipeline import FULL
from pims_pipeline_tests.reliability.vendors.at_vendor import AtVendor

Drawn = TypeVar("Drawn")
PLACES = st.sampled_from(
    [
        ("New_York", date(2026, 3, 8)),  # clocks go forward in New York
        ("New_York", date(2026, 11, 1)),  # and back
        ("London", date(2026, 3, 29)),
        ("Sydney", date(2026, 10, 4)),
        ("Sydney", date(2026, 6, 10)),
    ]
)
DAYS = st.integers(-3, 3)


def _of_vendor(
    values: Callable[[AtVendor], Sequence[Drawn]],
) -> st.SearchStrategy[Drawn]:
    """Drawn from what the vendor of the running program has."""
    return st.runner().flatmap(lambda machine: st.sampled_from(values(machine.at)))


CLINIC_PLACES: st.SearchStrategy[str | None] = _of_vendor(
    lambda at: [*at.places, *list(at.places)[:1], None]
)
"""Rooms or providers by name, the first one twice as often."""
FILTERS: st.SearchStrategy[ResourceFilter] = _of_vendor(
    lambda at: [*[ALL_RESOURCES] * 3, *at.filters]
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
ALWAYS_WRONG: st.SearchStrategy[FaultKind] = _of_vendor(lambda at: at.always_wrong)
FAULTS: st.SearchStrategy[FaultKind] = _of_vendor(
    lambda at: [kind for kind in at.faults if kind not in {FaultKind.HANG, *STALLS}]
)
OWN_WORDS = st.tuples(
    st.sampled_from(["Lost in Space", "Confirmed"]), st.sampled_from([None, *CaseStatus])
)
"""A status word, and what it means at a clinic."""
