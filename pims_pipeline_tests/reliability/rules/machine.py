"""The state machine's base: the clinic, its first sync, and helpers that rules share."""

from datetime import date

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.clinic.calls import LONG_TIMEOUT
from pims_pipeline_tests.reliability.clinic.pipeline import FULL
from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.rules.strategies import PLACES, WORDS_SEEN, Edit
from pims_pipeline_tests.reliability.settling import settle
from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic
from pims_pipeline_tests.reliability.vendors.at_vendor import AtVendor


class ClinicMachine(RuleBasedStateMachine):
    """One program: a clinic from its first booking to a sync after the last step.

    Attributes:
        at: The vendor of the program's clinic.
    """

    servers: SharedServers
    at: AtVendor

    def __init__(self) -> None:
        super().__init__()
        self.notes = 0
        self.rebookings = 0
        self.races = 0

    @initialize(place=PLACES, appointments=st.integers(0, 9))
    def begin(self, place: tuple[str, date], appointments: int) -> None:
        city, today = place
        self.synced = SyncedClinic.begin(self.servers, self.at.simulated(city), today)
        # No fault here is a timeout: a slow machine must not change what a program does.
        self.synced.read_timeout = LONG_TIMEOUT
        for number in range(appointments):
            self.synced.book(self.synced.local(number % 3 - 1, 8 + number), WORDS_SEEN[number % 4])
        self._sync(FULL)

    def _step(self) -> None:
        self.synced.step_began = self.servers.clock()

    def _appointment(self, which: int) -> str:
        known = sorted(self.synced.history)
        return known[which % len(known)]

    def _sync(self, phases: tuple[Phase, ...], window: DateRange | None = None) -> None:
        self._step()
        outcomes = self.synced.sync(*phases, window=window)
        oracle.no_audit_is_in_progress(self.synced)
        oracle.check(self.synced)
        found = outcomes.get(Phase.RECONCILIATION)
        if isinstance(found, PhaseOutcome) and found.hold_id is None and not found.counts.skipped:
            oracle.no_case_of_a_gone_appointment_is_active(self.synced, found.window)

    def _rebook(self, which: int, consultation: str, who: str = "patient") -> None:
        self.rebookings += 1
        self.synced.vendor(
            "rebook",
            self._appointment(which),
            patient_name=None if who == "client" else "Bella",
            species=("Feline", "Avian", "Equine")[self.rebookings % 3],
            client_name=None if who == "patient" else f"Kim {self.rebookings}",
            consultation=consultation,
        )

    def _apply(self, edit: Edit) -> None:
        what, how, which = edit
        if not self.synced.history:
            return
        if what == "vendor":
            self.synced.vendor(how, self._appointment(which))
        elif what == "rebook":
            self._rebook(which, how)
        elif what == "overwrite":
            self.synced.overwrite_metadata(self._appointment(which), how)
        elif what == "note":
            self.synced.user_notes(self._appointment(which), how, self.notes)
        else:
            self.synced.user_sets(self._appointment(which), what, how)

    def teardown(self) -> None:
        """Undisturbed full syncs make the cases equal the calendar, whatever happened before."""
        if hasattr(self, "synced"):
            settle(self.synced)
            self.synced.end()
