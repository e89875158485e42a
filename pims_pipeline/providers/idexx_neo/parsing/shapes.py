"""The shapes of IDEXX Neo's responses, and the names of fields that are known. Pure.

Add a name when the vendor is seen to send it: until then it is shown only where many records have
it. What counts as a shape belongs in ``pims_pipeline.domain.records.shapes``.
"""

from pims_pipeline.domain.records.shapes import Endpoint, Shapes, shapes_of
from pims_pipeline.providers.parsing.fields import camel_case

_LISTING = """
    appointment_id appointment_room_id appointment_room_name appointments arrival_date_time
    client_id confirmed_status consultation_id current_status data email end error errors events
    first_name id is_block is_roster is_unmatched last_name last_updated_at patient_id patient_name
    phone_label phone_number provider provider_id reason recurring resource_id start status
    status_label success title type_description
"""
_LOOKUP = """
    appointment appointmentRoom appointmentType block bookedBy breed cancelledReason client color
    createdAt deleted duration email endAtLocal firstName gender homePhone id lastName name notes
    patient provider roster species startAtLocal status
"""
_CONSULTATION = """
    breed client code consultation consultationLines consultationNotes date declined diagnoses
    dischargeSummary id isDeclined name notes pageData patient productService providers pulse
    quantity reason respiration species status temperature temperatureUnit unit value
    vitalSignGroup weight weightUnit
"""
_DICTIONARY = """
    appointmentRooms appointmentTypes columns id name providers resources rooms title
"""
KNOWN_NAMES = frozenset(
    spelled
    for name in f"{_LISTING} {_LOOKUP} {_CONSULTATION} {_DICTIONARY}".split()
    for spelled in (name, camel_case(name))
)


def neo_shapes(endpoint: Endpoint, body: object) -> Shapes:
    """The shapes of a decoded response."""
    return shapes_of(endpoint, body, KNOWN_NAMES)
