"""What users and operators do: edits of cases, decisions on holds."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.resources import ResourceFilter
from pims_pipeline.domain.records.words import CaseStatus
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.rules.machine import ClinicMachine
from pims_pipeline_tests.reliability.rules.strategies import (
    FILTERS,
    OWN_WORDS,
    USER_EDITS,
    VENDOR_EDITS,
    Edit,
)


class OperatorRules(ClinicMachine):
    """Rules of the application's users and the operators."""

    @precondition(lambda self: self.synced.history)
    @rule(edit=USER_EDITS)
    def a_user_edits_a_case(self, edit: Edit) -> None:
        self._step()
        self._apply(edit)
        oracle.check(self.synced)

    @rule(resources=FILTERS)
    def an_operator_chooses_rooms(self, resources: ResourceFilter) -> None:
        self._step()
        self.synced.choose_rooms(resources)
        oracle.check(self.synced)

    @rule(chosen=OWN_WORDS)
    def an_operator_chooses_what_a_word_means(self, chosen: tuple[str, CaseStatus | None]) -> None:
        self._step()
        self.synced.chooses_word(*chosen)
        oracle.check(self.synced)

    # Which of two syncs at once gets a fault is up to the threads, and no precondition may be.
    @rule()
    def an_operator_stores_the_credentials_again(self) -> None:
        if self.synced.credentials_are_refused():
            self.synced.store_credentials_again()

    @rule(yes=st.booleans())
    def a_hold_is_decided(self, *, yes: bool) -> None:
        self._step()
        holds = self.synced.holds()
        if not holds:
            return
        hold = holds[0]
        if yes:
            self.synced.approve(hold.id, DateRange(hold.window_start, hold.window_end))
        else:
            self.synced.reject(hold.id)
        oracle.check(self.synced)

    @precondition(lambda self: self.synced.history)
    @rule(
        edit=USER_EDITS,
        before=st.one_of(st.none(), VENDOR_EDITS),
        phase=st.sampled_from(Phase),
        statement=st.integers(1, 22),
    )
    def a_user_edits_a_case_between_two_statements(
        self, edit: Edit, before: Edit | None, phase: Phase, statement: int
    ) -> None:
        if before is not None:
            # Of the same appointment, so that the sync has something to write.
            self._apply((*before[:2], edit[2]))
        left = [statement]

        def on_statement() -> None:
            left[0] -= 1
            if left[0] == 0:
                self._apply(edit)

        self._step()
        self.servers.on_statement = on_statement
        try:
            self.synced.sync(phase)
        finally:
            self.servers.on_statement = None
        oracle.check(self.synced)
