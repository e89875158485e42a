"""What happens at the vendor: bookings, edits of appointments, faults, changed responses."""

from datetime import timedelta
from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from pims_pipeline.domain.phases import Phase
from pims_pipeline.simulator.faults import RECORD_FAULTS, FaultKind
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.rules.machine import ClinicMachine
from pims_pipeline_tests.reliability.rules.strategies import (
    CLINIC_PLACES,
    DAYS,
    EDITS,
    ENDPOINTS,
    FAULTS,
    HOURS,
    SOME_PHASES,
    WHICH,
    WORDS,
    Edit,
    Endpoint,
)


class VendorRules(ClinicMachine):
    """Rules of the vendor."""

    @rule(day=DAYS, at=HOURS, count=st.integers(1, 6), status=WORDS)
    def appointments_are_booked(
        self, day: int, at: tuple[int, int], count: int, status: str
    ) -> None:
        for number in range(count):
            start = self.synced.local(day, *at) + timedelta(minutes=15 * number)
            self.synced.book(start, status)

    @precondition(lambda self: self.synced.history)
    @rule(which=WHICH, day=st.sampled_from([-10, -2, 0, 1, 3, 9]), at=HOURS)
    def an_appointment_is_moved(self, which: int, day: int, at: tuple[int, int]) -> None:
        self.synced.vendor("move", self._appointment(which), self.synced.local(day, *at))

    @precondition(lambda self: self.synced.history)
    @rule(which=st.lists(WHICH, min_size=1, max_size=4), place=CLINIC_PLACES)
    def appointments_are_moved_to_a_room_or_provider(
        self, which: list[int], place: str | None
    ) -> None:
        for each in which:
            self.synced.vendor(self.at.place_action, self._appointment(each), place)

    @precondition(lambda self: self.synced.history)
    @rule(which=WHICH, action=st.sampled_from(["delete", "delete", "restore", "cancel"]))
    def an_appointment_is_deleted_restored_or_cancelled(self, which: int, action: str) -> None:
        self.synced.vendor(action, self._appointment(which))

    @precondition(lambda self: len(self.synced.history) > 5)
    @rule(first=WHICH, many=st.integers(4, 30), action=st.sampled_from(["delete", "restore"]))
    def many_appointments_are_deleted_or_restored(self, first: int, many: int, action: str) -> None:
        for which in range(min(many, len(self.synced.history))):
            self.synced.vendor(action, self._appointment(first + which))

    @precondition(lambda self: self.synced.history)
    @rule(which=WHICH, status=WORDS)
    def an_appointment_changes_status(self, which: int, status: str) -> None:
        self.synced.vendor("set_status", self._appointment(which), status)

    @precondition(lambda self: self.synced.history)
    @rule(which=WHICH, finish=st.booleans())
    def an_appointment_is_finished_or_its_notes_corrected(
        self, which: int, *, finish: bool
    ) -> None:
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
    def an_appointment_is_rebooked_for_another_patient_or_client(
        self, which: int, who: str, consultation: str
    ) -> None:
        self._rebook(which, consultation, who)

    @rule(kind=FAULTS, endpoint=ENDPOINTS, times=st.integers(1, 6), which=WHICH)
    def the_vendor_gets_a_fault(
        self, kind: FaultKind, endpoint: Endpoint, times: int, which: int
    ) -> None:
        self.synced.words_were_wrong |= kind is FaultKind.UNKNOWN_WORDS
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
    def the_vendor_changes_its_responses(
        self,
        mode: Literal["redirect", "401", "html"],
        lookup: Literal["flag", "not_found", "null"],
        shape: Literal["array", "appointments", "data", "events"],
        *,
        expire: bool,
    ) -> None:
        self.servers.control.settings(deleted_lookup=lookup, listing_shape=shape, expired_mode=mode)
        if expire and self.at.has_sessions:
            self.servers.control.expire_sessions(self.synced.company.company_id, mode)

    @precondition(lambda self: self.at.has_pages)
    @rule(
        page=st.integers(0, 9),
        booked=st.tuples(DAYS, HOURS, st.integers(1, 12)),
        edits=st.lists(EDITS, max_size=3),
        phases=SOME_PHASES,
    )
    def appointments_are_booked_and_edited_between_two_pages(
        self,
        page: int,
        booked: tuple[int, tuple[int, int], int],
        edits: list[Edit],
        phases: tuple[Phase, ...],
    ) -> None:
        left = [page]

        def on_page() -> None:
            left[0] -= 1
            if left[0] == -1:
                self.appointments_are_booked(*booked, "Confirmed")
                for edit in edits:
                    self._apply(edit)

        self.synced.on_page = on_page
        self._step()
        self.synced.sync(*phases)
        self.synced.on_page = None
        oracle.no_audit_is_in_progress(self.synced)
        oracle.check(self.synced)
