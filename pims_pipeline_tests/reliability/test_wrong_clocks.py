"""A clinic synced on a host whose clock jumps, by minutes to years, in both directions.

Whatever a wrong clock wrote, no existing appointment's case is retired and none is lost. Once the
clock is right, one sync makes the cases equal the calendar and the next one changes nothing.
"""

import os
from datetime import date, timedelta

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
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.clinic.pipeline import FULL
from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.rules.strategies import DAYS, SOME_PHASES, WHICH, WORDS
from pims_pipeline_tests.reliability.settling import sync_everything
from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic

PROGRAMS = 12 * int(os.environ.get("PIMS_SOAK", "1"))
if not {"CI", "PIMS_SOAK"} & os.environ.keys():
    PROGRAMS //= 3
SETTINGS = settings(
    max_examples=PROGRAMS,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
DAY = timedelta(days=1)
JUMPS = st.sampled_from(
    [400 * DAY, 30 * 365 * DAY, timedelta(hours=3), timedelta(minutes=20), timedelta(seconds=40),
     -400 * DAY, -10 * 365 * DAY, timedelta(hours=-1), timedelta(minutes=-20)]
)  # fmt: skip


class WrongClocks(RuleBasedStateMachine):
    """One program; the vendor's clock and the oracle's are always right."""

    servers: SharedServers

    def __init__(self) -> None:
        super().__init__()
        self.notes = 0
        self.retired: set[str] = set()

    @initialize(appointments=st.integers(2, 8), ahead=st.one_of(st.just(400 * DAY), JUMPS))
    def begin(self, appointments: int, ahead: timedelta) -> None:
        self.synced = SyncedClinic.begin(self.servers, DEFAULT_CLINICS[0], date(2026, 3, 8))
        for number in range(appointments):
            self.synced.book(self.synced.local(number % 3 - 1, 8 + number))
        self.servers.ahead = ahead
        self.synced.sync(*FULL)

    def _appointment(self, which: int) -> str:
        known = sorted(self.synced.history)
        return known[which % len(known)]

    def _check_retired(self) -> None:
        """The cases retired since the last check have no appointment at the vendor."""
        retired = {pims_id for pims_id, case in self.synced.cases().items() if case.retired}
        wrong = {each for each in retired - self.retired if self.synced.appointments[each].exists}
        assert wrong == set(), "retired although the appointment exists"
        self.retired = retired

    @rule(by=JUMPS)
    def the_clock_goes_wrong(self, by: timedelta) -> None:
        self.servers.ahead = by

    @rule()
    def the_clock_is_set_right(self) -> None:
        self.servers.ahead = timedelta()

    @rule(by=st.sampled_from([timedelta(minutes=7), timedelta(hours=2), DAY]))
    def time_passes(self, by: timedelta) -> None:
        self.servers.clock.forward(by)

    @rule(day=DAYS, status=WORDS)
    def an_appointment_is_booked(self, day: int, status: str) -> None:
        self.synced.book(self.synced.local(day, 9), status)

    @rule(which=WHICH, day=st.sampled_from([-2, 0, 1, 9]))
    def an_appointment_is_moved(self, which: int, day: int) -> None:
        self.synced.vendor("move", self._appointment(which), self.synced.local(day, 11))

    @rule(which=WHICH, action=st.sampled_from(["delete", "delete", "restore", "cancel"]))
    def an_appointment_is_called_off_or_on(self, which: int, action: str) -> None:
        self.synced.vendor(action, self._appointment(which))

    @rule(which=WHICH)
    def an_appointment_is_finished(self, which: int) -> None:
        self.notes += 1
        self.synced.vendor("finish", self._appointment(which), f"<p>note {self.notes};</p>")

    @rule(phases=SOME_PHASES)
    def the_week_is_synced(self, phases: tuple[Phase, ...]) -> None:
        self.synced.sync(*phases)
        self._check_retired()

    @rule(phases=SOME_PHASES, response=st.integers(0, 2), by=JUMPS)
    def the_clock_jumps_while_a_sync_runs(
        self, phases: tuple[Phase, ...], response: int, by: timedelta
    ) -> None:
        left = [response]

        def on_response(_: str) -> None:
            left[0] -= 1
            if left[0] == -1:
                self.servers.ahead = by

        self.synced.on_response = on_response
        self.synced.sync(*phases)
        self.synced.on_response = None
        self._check_retired()

    @precondition(lambda self: not self.synced.holds())
    @rule()
    def everything_is_synced_whatever_the_clock_shows(self) -> None:
        """With a wrong clock too, a full sync retires only what is gone."""
        self.synced.sync(*FULL, window=self.synced.wide)
        self._check_retired()

    def teardown(self) -> None:
        if hasattr(self, "synced"):
            self.synced.vendor("delete", self._appointment(0))
            self.synced.vendor("cancel", self._appointment(1))
            settle(self.synced)
            self.synced.end()


def settle(synced: SyncedClinic) -> None:
    """With the clock right: one full sync makes the cases equal, the next changes nothing."""
    synced.servers.ahead = timedelta()
    synced.servers.clock.forward(timedelta(days=1, minutes=1))
    with synced.undisturbed():
        sync_everything(synced)
        for hold in synced.holds():
            synced.approve(hold.id, DateRange(hold.window_start, hold.window_end))
        oracle.no_audit_is_in_progress(synced)
        oracle.cases_equal_the_truth(synced)
        before = synced.everything()
        assert sync_everything(synced) == {AuditStatus.COMPLETED}
        assert synced.everything() == before
        assert _ahead(synced) == []


def _ahead(synced: SyncedClinic) -> list[str]:
    """The records and audits with times in the future."""
    now = synced.servers.clock() + timedelta(minutes=2)
    return [
        str(row.name)
        for row in synced.rows(
            "SELECT pims_id AS name FROM pims_appointments WHERE clinic_id = %(clinic_id)s AND "
            "greatest(last_seen_at, fetched_at, missing_since, removed_at, "
            "consultation_checked_at) > %(now)s UNION ALL "
            "SELECT run_id FROM case_sync_audits WHERE clinic_id = %(clinic_id)s AND "
            "greatest(created_at, updated_at) > %(now)s",
            now=now,
        )
    ]


def test_after_any_jumps_of_the_clock_a_sync_leads_to_the_vendors_truth(
    servers: SharedServers,
) -> None:
    class HereLife(WrongClocks):
        pass

    HereLife.servers = servers
    run_state_machine_as_test(HereLife, settings=SETTINGS)


@pytest.mark.parametrize("ahead", [400 * DAY, -400 * DAY], ids=["ahead", "behind"])
def test_a_cancellation_a_deletion_and_a_move_after_a_wrong_clock_are_followed_at_once(
    servers: SharedServers, ahead: timedelta
) -> None:
    synced = SyncedClinic.begin(servers, DEFAULT_CLINICS[0], date(2026, 3, 8))
    first, second, third, fourth = (synced.book(synced.local(0, 8 + n)) for n in range(4))
    servers.ahead = ahead
    synced.sync(*FULL)
    servers.ahead = timedelta()
    servers.clock.forward(timedelta(minutes=5))
    synced.vendor("cancel", first)
    synced.vendor("delete", second)
    synced.vendor("move", third, synced.local(2, 15))
    synced.sync(*FULL)
    cases = synced.cases()
    assert cases[first].status == "reviewed"
    assert {each for each, case in cases.items() if case.retired} == {second}
    oracle.cases_equal_the_truth(synced)
    assert cases[fourth].status == "draft"
    settle(synced)
    synced.end()
