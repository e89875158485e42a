"""What every provider promises of fields: lenient where they describe, strict where they decide."""

from pims_pipeline.conformance.conditions import (
    PRIVATE,
    RequestKind,
    SpoiledField,
    VendorCondition,
)
from pims_pipeline.conformance.connections import Connections
from pims_pipeline.conformance.promises.asking import Response, ask, finished
from pims_pipeline.conformance.vendor import ConditionMissing, PlayedVendor
from pims_pipeline.domain.records.appointments import AppointmentLookup, Snapshot
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.port import ContractViolation


class FieldPromises:
    """Single fields of responses, each spoiled in turn."""

    def test_an_odd_value_in_an_optional_field_costs_no_record(
        self, vendor: PlayedVendor, connections: Connections, optional_field: SpoiledField | None
    ) -> None:
        field = _declared(vendor, VendorCondition.ODD_OPTIONAL_FIELD, optional_field)
        provider = connections.log_in()
        appointment = finished(vendor, provider)
        before = _what_decides(ask(vendor, provider, field.kind, appointment))
        for value in field.values:
            vendor.spoil(field, value)
            after = ask(vendor, provider, field.kind, appointment)
            assert _what_decides(after) == before, f"{value!r} in {field}"
            assert vendor.was_spoiled(field), f"no response has the field {field}"
            vendor.lift()

    def test_an_unreadable_deciding_field_is_never_guessed(
        self, vendor: PlayedVendor, connections: Connections, deciding_field: SpoiledField | None
    ) -> None:
        field = _declared(vendor, VendorCondition.UNREADABLE_DECIDING_FIELD, deciding_field)
        provider = connections.log_in()
        appointment = finished(vendor, provider)
        before = ask(vendor, provider, field.kind, appointment)
        for value in field.values:
            vendor.spoil(field, value)
            try:
                after = ask(vendor, provider, field.kind, appointment)
            except ContractViolation as error:
                messages = [str(error)]
            else:
                problem = f"{value!r} in {field} is guessed"
                assert field.kind is RequestKind.LISTING, problem
                assert isinstance(before, Snapshot)
                assert isinstance(after, Snapshot)
                assert _is_set_aside(before, after), problem
                messages = [each.error_message for each in after.quarantined]
            assert PRIVATE not in " ".join(messages), f"a message repeats {field}"
            assert vendor.was_spoiled(field), f"no response has the field {field}"
            vendor.lift()


def _declared(
    vendor: PlayedVendor, condition: VendorCondition, field: SpoiledField | None
) -> SpoiledField:
    vendor.check_applicable(condition)
    if field is None:
        raise ConditionMissing(type(vendor), condition)
    return field


def _what_decides(response: Response) -> object:
    """The part of a response that no description may change."""
    match response:
        case Snapshot(appointments=appointments):
            assert response.complete
            return {
                each.appointment_id: (each.scheduled_start, each.business_date, each.kind)
                for each in appointments
            }
        case AppointmentLookup():
            return (response.exists, response.scheduled_start, response.kind)
        case PimsConsultation():
            return (response.appointment_id, response.consultation_id)
    raise AssertionError("a record is lost")


def _is_set_aside(before: Snapshot, after: Snapshot) -> bool:
    """Whether records that are no longer listed are quarantined, and the others are unchanged."""
    known = {each.appointment_id: each for each in before.appointments}
    found = {each.appointment_id: each for each in after.appointments}
    lost = known.keys() - found.keys()
    quarantined = {each.pims_id for each in after.quarantined}
    unchanged = all(
        (each.scheduled_start, each.kind) == (known[name].scheduled_start, known[name].kind)
        for name, each in found.items()
        if name in known
    )
    no_other = found.keys() <= known.keys()
    hidden = lost <= quarantined or after.hides_identities or not after.complete
    return bool(lost) and hidden and unchanged and no_other
