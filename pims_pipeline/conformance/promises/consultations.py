"""What every provider promises of consultations: none, late, corrected, of another patient."""

from dataclasses import replace

from pims_pipeline.conformance.conditions import VendorCondition
from pims_pipeline.conformance.connections import Connections, listed, with_batches
from pims_pipeline.conformance.promises.asking import at, finished, the_day
from pims_pipeline.conformance.vendor import PlayedVendor
from pims_pipeline.providers.port import ContractViolation


class ConsultationPromises:
    """Consultations of appointments."""

    def test_a_finished_appointment_has_its_consultation(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = connections.log_in()
        appointment = finished(vendor, provider, "Well again.")
        consultation = provider.fetch_consultation(appointment)
        assert consultation is not None
        assert consultation.appointment_id == appointment.appointment_id
        assert appointment.consultation_id in {None, consultation.consultation_id}
        assert "Well again." in (consultation.notes or "")

    def test_a_booked_appointment_has_no_consultation(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        identity = vendor.book(at(vendor, 9))
        provider = connections.log_in()
        assert provider.fetch_consultation(listed(provider, the_day(vendor))[identity]) is None

    def test_an_unknown_consultation_is_none(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = connections.log_in()
        appointment = finished(vendor, provider)
        unknown = replace(
            appointment,
            appointment_id="999999999999",
            consultation_id=appointment.consultation_id and "999999999999",
        )
        assert provider.fetch_consultation(unknown) is None

    def test_a_consultation_that_comes_late_is_none_until_then(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.check_applicable(VendorCondition.LATE_CONSULTATION)
        provider = connections.log_in()
        identity = vendor.book(at(vendor, 9))
        vendor.open_consultation(identity)
        early = provider.fetch_consultation(listed(provider, the_day(vendor))[identity])
        assert early is None or not early.notes
        vendor.finish(identity, "Written at last.")
        late = provider.fetch_consultation(listed(provider, the_day(vendor))[identity])
        assert late is not None
        assert "Written at last." in (late.notes or "")

    def test_a_corrected_consultation_is_fetched_as_it_is_now(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.check_applicable(VendorCondition.CORRECTED_CONSULTATION)
        provider = connections.log_in()
        appointment = finished(vendor, provider, "Left paw.")
        written = provider.fetch_consultation(appointment)
        assert written is not None
        assert "Left paw." in (written.notes or "")
        vendor.correct_consultation(appointment.appointment_id, "Right paw.")
        corrected = provider.fetch_consultation(
            listed(provider, the_day(vendor))[appointment.appointment_id]
        )
        assert corrected is not None
        assert "Right paw." in (corrected.notes or "")
        assert "Left paw." not in (corrected.notes or "")

    def test_a_consultation_of_another_patient_is_never_taken_for_the_appointment_s(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.check_applicable(VendorCondition.OTHER_PATIENT)
        provider = connections.log_in()
        identity = finished(vendor, provider).appointment_id
        vendor.swap_consultation(identity)
        appointment = listed(provider, the_day(vendor))[identity]
        try:
            found = provider.fetch_consultation(appointment)
        except ContractViolation:
            return
        # The pipeline compares the patients and refuses it.
        assert found is None or (found.patient and found.patient.id != appointment.patient.id)

    def test_consultations_fetched_together_are_those_fetched_one_by_one(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = connections.log_in()
        batches = with_batches(provider)
        written = finished(vendor, provider, "Well again.")
        vendor.book(at(vendor, 10))
        appointments = tuple(listed(provider, the_day(vendor)).values())
        together = batches.fetch_consultations(appointments)
        assert written.appointment_id in together
        for each in appointments:
            if each.appointment_id in together:
                assert together[each.appointment_id] == provider.fetch_consultation(each)
