"""A clinic's day at random: the calendar changes, listings arrive late, users edit."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pims_pipeline.domain.planning.case_writes import case_changes
from pims_pipeline.domain.planning.enrichment import FetchedConsultation, plan_consultations
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    Patient,
    PimsAppointment,
    Proof,
    QuarantinedRecord,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.cases import Case, draft_of
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.domain.records.words import CaseStatus
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.strategies import STATUSES, TYPES, WEEK

EIGHT = datetime(2026, 3, 5, 8, tzinfo=UTC)
NO_LIMIT = DeletionPolicy(min_orphans=100)
STAFF = PimsAppointment(
    appointment_id="staff",
    scheduled_start=EIGHT,
    scheduled_end=EIGHT + timedelta(hours=9),
    business_date=EIGHT.date(),
    kind=RecordKind.ROSTER,
)
"""Always in the calendar, so that no listing is suspiciously empty."""
IDS = st.sampled_from("abcd")
PATIENTS = (
    Patient(id="100", name="Rex", species="Canine"),
    Patient(id="200", name="Bella", species="Feline"),
    Patient(id="201", name="Bella", species="Avian"),
)
Calendar = Mapping[str, PimsAppointment]


class ClinicsDay(RuleBasedStateMachine):
    """A vendor with all its past calendars, and a store that gets listings late."""

    def __init__(self) -> None:
        super().__init__()
        self.now = EIGHT
        self.calendar: dict[str, PimsAppointment] = {}
        self.calendar_at: dict[datetime, Calendar] = {}
        self.under_way: list[Snapshot] = []
        self.fetched: list[FetchedConsultation] = []
        self.consultations: dict[str, PimsConsultation] = {}
        self.store = MemoryStore()

    def _tick(self) -> datetime:
        """A new point in time, with the calendar as it is then."""
        self.now += timedelta(minutes=1)
        self.calendar_at[self.now] = dict(self.calendar)
        return self.now

    def _listing(self) -> Snapshot:
        fetched_at = self._tick()
        inside = [each for each in self.calendar.values() if each.business_date in WEEK]
        return Snapshot(
            window=WEEK,
            appointments=(STAFF, *inside),
            fetched_at=fetched_at,
            proof=Proof.ONE_RESPONSE,
        )

    def _look_up_everything(self) -> dict[str, AppointmentLookup]:
        asked_at = self._tick()
        return {pims_id: _lookup(pims_id, self.calendar, asked_at) for pims_id in "abcd"}

    @rule(
        pims_id=IDS,
        day=st.sampled_from([0, 1, 6, 9]),
        status=st.sampled_from(STATUSES),
        kind=st.sampled_from([*[RecordKind.APPOINTMENT] * 3, RecordKind.BLOCK]),
        words=st.sampled_from(TYPES),
        patient=st.sampled_from(PATIENTS),
        link=st.sampled_from(["none", "as before", "new"]),
    )
    def vendor_books_or_changes(
        self,
        pims_id: str,
        day: int,
        status: str,
        kind: RecordKind,
        *,
        words: str | None,
        patient: Patient,
        link: str,
    ) -> None:
        start = EIGHT + timedelta(days=day, hours=2)
        before = self.calendar.get(pims_id)
        consultation_id = before.consultation_id if before and link == "as before" else None
        if link == "new":
            consultation_id = f"k{len(self.consultations)}"
            self.consultations[consultation_id] = PimsConsultation(
                appointment_id=pims_id, consultation_id=consultation_id, patient=patient
            )
        self.calendar[pims_id] = PimsAppointment(
            appointment_id=pims_id,
            scheduled_start=start,
            scheduled_end=start + timedelta(minutes=30),
            business_date=start.date(),
            status=status,
            appointment_type=words,
            kind=kind,
            patient=replace(patient, species=None),
            consultation_id=consultation_id,
        )

    @precondition(lambda self: self.store.enrichable())
    @rule(data=st.data())
    def a_consultation_is_asked_for(self, data: st.DataObject) -> None:
        live = self.store.enrichable()
        known = live[data.draw(st.sampled_from(sorted(live)))]
        found = self.consultations.get(known.appointment.consultation_id or "")
        self.fetched.append(
            FetchedConsultation(
                case_id=known.case_id,
                asked_at=self._tick(),
                consultation=found,
                asked_for=known.appointment,
            )
        )

    @precondition(lambda self: self.fetched)
    @rule(data=st.data())
    def a_consultation_arrives(self, data: st.DataObject) -> None:
        response = data.draw(st.sampled_from(self.fetched))
        self.store.apply_consultations(plan_consultations(self.store.enrichable(), [response]))

    @rule(word=st.sampled_from(STATUSES), status=st.sampled_from(CaseStatus))
    def a_word_gets_another_meaning(self, word: str, status: CaseStatus) -> None:
        self.store.words = self.store.words.adding({word: status})

    @rule(pims_id=IDS)
    def vendor_deletes(self, pims_id: str) -> None:
        self.calendar.pop(pims_id, None)

    @rule()
    def a_listing_is_asked_for(self) -> None:
        self.under_way.append(self._listing())

    @rule(pims_id=IDS, named=st.booleans())
    def a_partly_unreadable_listing_is_asked_for(self, pims_id: str, *, named: bool) -> None:
        whole = self._listing()
        readable = [each for each in whole.appointments if each.appointment_id != pims_id]
        if len(readable) < len(whole.appointments):
            record = QuarantinedRecord(
                record_key=pims_id,
                error_class="ContractViolation",
                error_message="end: not a time",
                pims_id=pims_id if named else None,
            )
            whole = replace(whole, appointments=tuple(readable), quarantined=(record,))
        self.under_way.append(whole)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def a_listing_arrives(self, data: st.DataObject) -> None:
        snapshot = data.draw(st.sampled_from(self.under_way))
        self.store.receive(snapshot)
        assert self.store.plan(snapshot).is_empty

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), asks=st.booleans())
    def the_cases_are_reconciled(self, data: st.DataObject, *, asks: bool) -> None:
        snapshot = data.draw(st.sampled_from(self.under_way))
        lookups = self._look_up_everything() if asks else None
        policy = NO_LIMIT if asks else replace(NO_LIMIT, absence_interval=timedelta(minutes=2))
        plan = self.store.plan_reconciliation(snapshot, policy, lookups)
        for retirement in plan.retire:
            self._check_gone(retirement.case, self.now if asks else snapshot.fetched_at)
        self.store.apply_reconciliation(plan, WEEK, self.now if asks else snapshot.fetched_at)
        assert self.store.plan_reconciliation(snapshot, policy, lookups).is_empty

    def _check_gone(self, case: Case, moment: datetime) -> None:
        """Check that the vendor had no such appointment in the week at ``moment``."""
        appointment = self.calendar_at[moment].get(case.pims_id)
        gone = (
            appointment is None
            or appointment.kind is not RecordKind.APPOINTMENT
            or appointment.business_date not in WEEK
            # Without a lookup a landed block decides, and it may be newer than the listing.
            or self.store.landed[case.pims_id].appointment.kind is not RecordKind.APPOINTMENT
        )
        assert gone, f"{case.pims_id} existed at {moment}"

    @precondition(lambda self: self.store.cases)
    @rule(data=st.data(), status=st.sampled_from(CaseStatus))
    def people_set_a_status(self, data: st.DataObject, status: CaseStatus) -> None:
        self.store.edit(data.draw(st.sampled_from(sorted(self.store.cases))), status=status)

    @invariant()
    def every_case_belongs_to_a_landed_appointment(self) -> None:
        for pims_id, case in self.store.cases.items():
            assert case.id == self.store.identify(pims_id)
            assert pims_id in self.store.landed

    @invariant()
    def no_case_has_anything_of_another_patient(self) -> None:
        for case in self.store.enrichable().values():
            named = case.appointment.patient
            if case.appointment.kind is not RecordKind.APPOINTMENT:
                continue
            if case.consultation is not None:
                assert case.consultation["patient"]["id"] == named.id
            (species,) = [each.species for each in PATIENTS if each.id == named.id]
            assert case.patient_species in {None, species}

    @invariant()
    def a_retired_case_is_known_to_be_gone_or_a_block(self) -> None:
        for pims_id, case in self.store.cases.items():
            row = self.store.landed[pims_id]
            if case.soft_deleted and row.removed_at is None:
                assert row.appointment.kind is not RecordKind.APPOINTMENT

    def teardown(self) -> None:
        """After any day, one more full sync makes the cases match the calendar."""
        snapshot = self._listing()
        self.store.receive(snapshot)
        lookups = self._look_up_everything()
        plan = self.store.plan_reconciliation(snapshot, NO_LIMIT, lookups)
        self.store.apply_reconciliation(plan, WEEK, self.now)
        live = {each.case.pims_id: each.case for each in self.store.tracked(WEEK)}
        appointments = {
            each.appointment_id: each
            for each in snapshot.appointments
            if each.kind is RecordKind.APPOINTMENT
        }
        assert set(live) == set(appointments)
        for pims_id, appointment in appointments.items():
            draft = draft_of(appointment, self.store.words)
            people_chose = replace(
                draft,
                status=live[pims_id].status,
                case_type=live[pims_id].case_type,
                patient_species=live[pims_id].patient_species,
            )
            assert not case_changes(live[pims_id], people_chose)
            meaning = self.store.landed[pims_id].meaning
            assert meaning == self.store.words.meaning_of(
                appointment.status, appointment.appointment_type
            )


def _lookup(pims_id: str, calendar: Calendar, asked_at: datetime) -> AppointmentLookup:
    appointment = calendar.get(pims_id)
    if appointment is None:
        return AppointmentLookup(appointment_id=pims_id, asked_at=asked_at, found=False)
    return AppointmentLookup(
        appointment_id=pims_id,
        asked_at=asked_at,
        found=True,
        kind=appointment.kind,
        status=appointment.status,
        scheduled_start=appointment.scheduled_start,
        scheduled_end=appointment.scheduled_end,
        business_date=appointment.business_date,
    )


TestClinicsDay = ClinicsDay.TestCase
