"""A clinic's life told at random, and an oracle that watches every step of it.

Every program is a new clinic in the same database, with the same simulator wiped clean.
CI plays 200 programs, a run by hand a quarter of them, so that it stays short;
``PIMS_SOAK=20`` plays 20 × 200 (``make soak``).
"""

import os
from datetime import date, timedelta
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.providers.port import PimsError
from pims_pipeline.simulator.faults import RECORD_FAULTS, STALLS, FaultKind
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.synced_clinic import (
    FULL,
    PATIENT,
    SCRIBBLES,
    SharedServers,
    SyncedClinic,
    simulated,
)

SHARDS = 10
PROGRAMS = 200 * int(os.environ.get("PIMS_SOAK", "1"))
if not {"CI", "PIMS_SOAK"} & os.environ.keys():
    PROGRAMS //= 4
SETTINGS = settings(
    max_examples=PROGRAMS // SHARDS,
    stateful_step_count=30,
    deadline=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
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
HOURS = st.sampled_from([(2, 30), (0, 0), (8, 0), (11, 30), (16, 0), (23, 59)])
WORDS_SEEN = ("not arrived", "Confirmed", "In Progress", "Ready to Pay", "No Show")
WORDS = st.sampled_from([*WORDS_SEEN, "Lost in Space"])
WHICH = st.integers(0, 20)
"""An appointment, counted from the first booked, round and round."""
SOME_PHASES: st.SearchStrategy[tuple[Phase, ...]] = st.sampled_from(
    [(phase,) for phase in Phase] + [FULL] * 2
)
Happening = tuple[str, str, int]
"""What happens, how (a value or an edit's name), and to which appointment."""


def _of(what: str, *how: str) -> st.SearchStrategy[Happening]:
    return st.tuples(st.just(what), st.sampled_from(how), WHICH)


PEOPLES_EDITS: st.SearchStrategy[Happening] = st.one_of(
    _of("status", "draft", "ongoing", "completed", "reviewed"),
    _of("case_type", "checkup", "surgery", "emergency", "follow_up"),
    _of("note", "a", "b"),
    _of("scribble", *SCRIBBLES),
)
VENDORS_EDITS = st.one_of(
    _of("vendor", "delete", "restore", "cancel", "finish"), _of("rebook", "none", "same", "new")
)
HAPPENINGS = st.one_of(VENDORS_EDITS, VENDORS_EDITS, PEOPLES_EDITS)
Endpoint = Literal["listing", "appointment", "consultation", "any"]
ENDPOINTS: st.SearchStrategy[Endpoint] = st.sampled_from(
    ["listing", "appointment", "consultation", "any"]
)
ALWAYS_WRONG = st.sampled_from(
    [FaultKind.SERVER_ERROR, FaultKind.HTML, FaultKind.NOT_A_LIST, FaultKind.TRUNCATED_JSON,
     FaultKind.CUT_OFF, FaultKind.RATE_LIMITED, FaultKind.SESSION_EXPIRED_HTML]
)  # fmt: skip
FAULTS = st.sampled_from([kind for kind in FaultKind if kind not in {FaultKind.HANG, *STALLS}])


class ClinicLife(RuleBasedStateMachine):
    """One program: a clinic from its first booking to the quiet after the last step."""

    servers: SharedServers

    def __init__(self) -> None:
        super().__init__()
        self.notes = 0
        self.rebookings = 0
        self.races = 0

    @initialize(place=PLACES, appointments=st.integers(0, 9))
    def begin(self, place: tuple[str, date], appointments: int) -> None:
        company, today = place
        self.synced = SyncedClinic.begin(self.servers, simulated(company), today)
        # No fault here is about silence: a slow machine must not change what a program does.
        self.synced.read_timeout = PATIENT
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
        oracle.nobody_works(self.synced)
        oracle.check(self.synced)
        found = outcomes.get(Phase.RECONCILIATION)
        if isinstance(found, PhaseOutcome) and found.hold_id is None and not found.counts.skipped:
            oracle.nothing_gone_is_left(self.synced, found.window)

    # The vendor

    @rule(day=DAYS, at=HOURS, count=st.integers(1, 6), status=WORDS)
    def appointments_are_booked(
        self, day: int, at: tuple[int, int], count: int, status: str
    ) -> None:
        for number in range(count):
            start = self.synced.local(day, *at) + timedelta(minutes=15 * number)
            self.synced.book(start, status)

    @precondition(lambda self: self.synced.history)
    @rule(which=WHICH, day=st.sampled_from([-10, -2, 0, 1, 3, 9]), at=HOURS)
    def a_appointment_is_moved(self, which: int, day: int, at: tuple[int, int]) -> None:
        self.synced.vendor("move", self._appointment(which), self.synced.local(day, *at))

    @precondition(lambda self: self.synced.history)
    @rule(which=WHICH, action=st.sampled_from(["delete", "delete", "restore", "cancel"]))
    def a_appointment_is_called_off_or_on(self, which: int, action: str) -> None:
        self.synced.vendor(action, self._appointment(which))

    @precondition(lambda self: len(self.synced.history) > 5)
    @rule(first=WHICH, many=st.integers(4, 30), action=st.sampled_from(["delete", "restore"]))
    def many_appointments_are_deleted_or_restored(self, first: int, many: int, action: str) -> None:
        for which in range(min(many, len(self.synced.history))):
            self.synced.vendor(action, self._appointment(first + which))

    @precondition(lambda self: self.synced.history)
    @rule(which=WHICH, status=WORDS)
    def a_appointment_moves_on(self, which: int, status: str) -> None:
        self.synced.vendor("set_status", self._appointment(which), status)

    @precondition(lambda self: self.synced.history)
    @rule(which=WHICH, finish=st.booleans())
    def a_appointment_is_finished_or_its_notes_corrected(self, which: int, *, finish: bool) -> None:
        self.notes += 1
        pims_id = self._appointment(which)
        opened = self.synced.appointments[pims_id].appointment.consultation_id is not None
        action = "write_notes" if opened and not finish else "finish"
        self.synced.vendor(action, pims_id, f"<p>note {self.notes};</p>")

    @precondition(lambda self: self.synced.history)
    @rule(which=st.lists(WHICH, min_size=1, max_size=2))
    def a_patient_is_renamed_or_two_are_merged(self, which: list[int]) -> None:
        for each in which:
            self.synced.vendor("rename_patient", self._appointment(each), "Señor Whiskers")

    @precondition(lambda self: self.synced.history)
    @rule(
        which=WHICH,
        who=st.sampled_from(["patient", "client", "both"]),
        consultation=st.sampled_from(["none", "same", "new"]),
    )
    def a_appointment_is_rebooked_for_somebody_else(
        self, which: int, who: str, consultation: str
    ) -> None:
        self._rebook(which, consultation, who)

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

    @rule(kind=FAULTS, endpoint=ENDPOINTS, times=st.integers(1, 6), which=WHICH)
    def the_vendor_will_misbehave(
        self, kind: FaultKind, endpoint: Endpoint, times: int, which: int
    ) -> None:
        hidden = self._appointment(which) if self.synced.history else "1"
        self.servers.control.add_fault(
            kind,
            endpoint="listing" if kind in RECORD_FAULTS else endpoint,
            times=times,
            seconds=0.002,
            retry_after=0.001,
            appointment_id=hidden,
        )

    @rule(
        mode=st.sampled_from(["redirect", "401", "html"]),
        lookup=st.sampled_from(["flag", "not_found", "null"]),
        shape=st.sampled_from(["array", "appointments", "data", "events"]),
        expire=st.booleans(),
    )
    def the_vendor_changes_its_ways(
        self,
        mode: Literal["redirect", "401", "html"],
        lookup: Literal["flag", "not_found", "null"],
        shape: Literal["array", "appointments", "data", "events"],
        *,
        expire: bool,
    ) -> None:
        self.servers.control.settings(deleted_lookup=lookup, listing_shape=shape, expired_mode=mode)
        if expire:
            self.servers.control.expire_sessions(self.synced.company.company_id, mode)

    # People

    @precondition(lambda self: self.synced.history)
    @rule(edit=PEOPLES_EDITS)
    def people_edit_a_case(self, edit: Happening) -> None:
        self._step()
        self._happens(edit)
        oracle.check(self.synced)

    @precondition(lambda self: self.synced.holds())
    @rule(yes=st.booleans())
    def a_hold_is_decided(self, *, yes: bool) -> None:
        self._step()
        hold = self.synced.holds()[0]
        if yes:
            self.synced.approve(hold.id, DateRange(hold.window_start, hold.window_end))
        else:
            self.synced.reject(hold.id)
        oracle.check(self.synced)

    @rule(by=st.sampled_from([timedelta(minutes=7), timedelta(minutes=35), timedelta(days=1)]))
    def time_passes(self, by: timedelta) -> None:
        self.servers.clock.forward(by)

    # The pipeline

    @rule(phases=SOME_PHASES)
    def the_week_is_synced(self, phases: tuple[Phase, ...]) -> None:
        self._sync(phases)

    @rule(phases=SOME_PHASES, first=DAYS, length=st.integers(0, 3))
    def a_part_of_it_is_synced(self, phases: tuple[Phase, ...], first: int, length: int) -> None:
        start = self.synced.today + timedelta(days=first)
        self._sync(phases, DateRange(start, start + timedelta(days=length)))

    @rule(statement=st.integers(1, 70))
    def a_sync_is_killed(self, statement: int) -> None:
        self._step()
        self.synced.killed_sync(*FULL, statement=statement)
        oracle.check(self.synced)

    @rule(
        phases=SOME_PHASES,
        call=st.sampled_from([0, 0, 0, 1, 2]),
        happenings=st.lists(HAPPENINGS, min_size=1, max_size=3),
        other=st.sampled_from([FULL, FULL, (Phase.INBOUND,), (Phase.RECONCILIATION,), None]),
    )
    def things_happen_while_a_sync_runs(
        self,
        phases: tuple[Phase, ...],
        call: int,
        happenings: list[Happening],
        other: tuple[Phase, ...] | None,
    ) -> None:
        """After the vendor's n-th answer, and before it is used: edits, and another sync."""
        left = [call]

        def meanwhile(_: str) -> None:
            left[0] -= 1
            if left[0] == -1:
                for happening in happenings:
                    self._happens(happening)
                if other is not None:
                    self.synced.sync(*other, fresh=True)
                    oracle.knowledge_only_grows(self.synced)

        self._step()
        self.synced.meanwhile = meanwhile
        self.synced.sync(*phases)
        self.synced.meanwhile = None
        oracle.nobody_works(self.synced)
        oracle.check(self.synced)

    @precondition(lambda self: self.synced.history)
    @rule(
        edit=PEOPLES_EDITS,
        before=st.one_of(st.none(), VENDORS_EDITS),
        phase=st.sampled_from(Phase),
        statement=st.integers(1, 22),
    )
    def people_edit_a_case_between_two_statements(
        self, edit: Happening, before: Happening | None, phase: Phase, statement: int
    ) -> None:
        if before is not None:
            # Of the very appointment whose case people edit: so the sync has something to write.
            self._happens((*before[:2], edit[2]))
        left = [statement]

        def strike() -> None:
            left[0] -= 1
            if left[0] == 0:
                self._happens(edit)

        self._step()
        self.servers.on_statement = strike
        try:
            self.synced.sync(phase)
        finally:
            self.servers.on_statement = None
        oracle.check(self.synced)

    def _happens(self, happening: Happening) -> None:
        what, how, which = happening
        if not self.synced.history:
            return
        if what == "vendor":
            self.synced.vendor(how, self._appointment(which))
        elif what == "rebook":
            self._rebook(which, how)
        elif what == "scribble":
            self.synced.scribbled(self._appointment(which), how)
        elif what == "note":
            self.synced.people_note(self._appointment(which), how, self.notes)
        else:
            self.synced.people_set(self._appointment(which), what, how)

    @precondition(lambda self: self.races < 2)  # they are slow
    @rule()
    def two_syncs_run_at_once(self) -> None:
        self.races += 1
        self._step()
        self.synced.two_syncs_at_once()
        oracle.nobody_works(self.synced)
        oracle.check(self.synced)

    @rule(kind=ALWAYS_WRONG, phase=st.sampled_from([Phase.INBOUND, Phase.RECONCILIATION]))
    def the_calendar_cannot_be_had(self, kind: FaultKind, phase: Phase) -> None:
        """No phase that needs a listing reports success without one."""
        self._step()
        self.servers.control.add_fault(kind, endpoint="listing", times=None, retry_after=0.001)
        result = self.synced.sync(phase)[phase]
        self.servers.control.clear_faults()
        assert isinstance(result, PimsError)
        oracle.check(self.synced)

    def teardown(self) -> None:
        """However it went, one undisturbed full sync makes the cases equal the calendar."""
        if hasattr(self, "synced"):
            settle(self.synced)
            self.synced.end()


def settle(synced: SyncedClinic) -> None:
    """Sync the whole calendar undisturbed, twice: the cases equal it, and then nothing changes."""
    synced.servers.clock.forward(timedelta(days=1, minutes=1))
    synced.step_began = synced.servers.clock()
    with synced.undisturbed():
        _succeeded(synced)
        for hold in synced.holds():
            synced.approve(hold.id, DateRange(hold.window_start, hold.window_end))
        oracle.check(synced)
        oracle.nobody_works(synced)
        oracle.cases_equal_the_truth(synced)
        before = synced.everything()
        assert _succeeded(synced) == {AuditStatus.COMPLETED}
        assert synced.everything() == before


def _succeeded(synced: SyncedClinic) -> set[AuditStatus]:
    outcomes = synced.sync(*FULL, window=synced.wide)
    assert set(outcomes) == set(FULL)
    for outcome in outcomes.values():
        assert isinstance(outcome, PhaseOutcome), outcome
    return {outcome.status for outcome in outcomes.values() if isinstance(outcome, PhaseOutcome)}


@pytest.mark.parametrize("shard", range(SHARDS))
def test_nothing_that_befalls_a_clinic_costs_it_a_case(servers: SharedServers, shard: int) -> None:  # noqa: ARG001 - shares the programs out
    class HereLife(ClinicLife):
        pass

    HereLife.servers = servers
    run_state_machine_as_test(HereLife, settings=SETTINGS)
