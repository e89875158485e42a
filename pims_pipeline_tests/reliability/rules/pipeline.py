"""What the pipeline does: whole, partial, killed and interleaved syncs."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.providers.port import PimsError
from pims_pipeline.simulator.faults import FaultKind
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.clinic.pipeline import FULL
from pims_pipeline_tests.reliability.rules.machine import ClinicMachine
from pims_pipeline_tests.reliability.rules.strategies import (
    ALWAYS_WRONG,
    DAYS,
    EDITS,
    SOME_PHASES,
    Edit,
)


class PipelineRules(ClinicMachine):
    """Rules of time and of syncs."""

    @rule(by=st.sampled_from([timedelta(minutes=7), timedelta(minutes=35), timedelta(days=1)]))
    def time_passes(self, by: timedelta) -> None:
        self.servers.clock.forward(by)

    @rule(phases=SOME_PHASES)
    def the_week_is_synced(self, phases: tuple[Phase, ...]) -> None:
        self._sync(phases)

    @rule(phases=SOME_PHASES, first=DAYS, length=st.integers(0, 3))
    def a_part_of_it_is_synced(self, phases: tuple[Phase, ...], first: int, length: int) -> None:
        start = self.synced.today + timedelta(days=first)
        self._sync(phases, DateRange(start, start + timedelta(days=length)))

    @rule()
    def the_calendar_is_synced_by_schedule(self) -> None:
        """Where the vendor lists changes, they are fetched alone."""
        self._step()
        self.synced.sync(Phase.INBOUND, scheduled=True)
        oracle.no_audit_is_in_progress(self.synced)
        oracle.check(self.synced)

    @rule(edits=st.lists(EDITS, min_size=1, max_size=4))
    def changes_do_what_a_listing_would_have_done(self, edits: list[Edit]) -> None:
        """After a sound listing and edits, changes leave nothing to a further listing."""
        self.servers.control.clear_faults()
        self._sync((Phase.INBOUND,))
        for edit in edits:
            self._apply(edit)
        self._step()
        outcome = self.synced.sync(Phase.INBOUND, scheduled=True)[Phase.INBOUND]
        oracle.check(self.synced)
        if isinstance(outcome, PhaseOutcome) and outcome.changed_since is not None:
            missing = self.synced.missing()
            self._sync((Phase.INBOUND,))
            assert self.synced.missing() == missing
            assert self.synced.events_of_last_sync() == []

    @rule(statement=st.integers(1, 70))
    def a_sync_is_killed(self, statement: int) -> None:
        self._step()
        self.synced.killed_sync(*FULL, statement=statement)
        oracle.check(self.synced)

    @rule(
        phases=SOME_PHASES,
        call=st.sampled_from([0, 0, 0, 1, 2]),
        edits=st.lists(EDITS, min_size=1, max_size=3),
        other=st.sampled_from([FULL, FULL, (Phase.INBOUND,), (Phase.RECONCILIATION,), None]),
    )
    def edits_are_made_while_a_sync_runs(
        self,
        phases: tuple[Phase, ...],
        call: int,
        edits: list[Edit],
        other: tuple[Phase, ...] | None,
    ) -> None:
        """Between the vendor's n-th response and its use: edits, and another sync."""
        left = [call]

        def on_response(_: str) -> None:
            left[0] -= 1
            if left[0] == -1:
                for edit in edits:
                    self._apply(edit)
                if other is not None:
                    self.synced.sync(*other, fresh=True)
                    oracle.knowledge_only_grows(self.synced)

        self._step()
        self.synced.on_response = on_response
        self.synced.sync(*phases)
        self.synced.on_response = None
        oracle.no_audit_is_in_progress(self.synced)
        oracle.check(self.synced)

    @precondition(lambda self: self.races < 2)  # they are slow
    @rule()
    def two_syncs_run_at_once(self) -> None:
        self.races += 1
        self._step()
        self.synced.two_syncs_at_once()
        oracle.no_audit_is_in_progress(self.synced)
        oracle.check(self.synced)

    @rule(kind=ALWAYS_WRONG, phase=st.sampled_from([Phase.INBOUND, Phase.RECONCILIATION]))
    def the_calendar_cannot_be_fetched(self, kind: FaultKind, phase: Phase) -> None:
        """A phase that needs a listing fails without one."""
        self._step()
        self.servers.control.add_fault(kind, endpoint="listing", times=None, retry_after=0.001)
        result = self.synced.sync(phase)[phase]
        self.servers.control.clear_faults()
        assert isinstance(result, PimsError)
        oracle.check(self.synced)
