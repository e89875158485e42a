"""The vendor's JSON with odd shapes in fields that describe.

A client must be able to read all of them. ``vendors.odd_forms`` has the odd forms of any response.
"""

from pims_pipeline.simulator.vendors.odd_forms import NO_DATE, Json


def oddly_described(content: Json) -> Json:
    """A response with lists, objects and flags where descriptions belong."""
    if isinstance(content, list):
        return [_odd_record(record) for record in content]
    if not isinstance(content, dict):
        return content
    if isinstance(content.get("appointment"), dict):
        return {"appointment": _odd_lookup(content["appointment"])}
    if "consultation" in content:
        return _odd_page(content)
    return {
        name: [_odd_record(record) for record in value] if isinstance(value, list) else value
        for name, value in content.items()
    }


def _odd_record(record: Json) -> Json:
    if not isinstance(record, dict):
        return record
    return record | {
        "arrival_date_time": NO_DATE,
        "provider": [],
        "phone_number": {},
        "appointment_room_name": False,
        "type_description": ["Consultation"],
        "reason": {"0": "Limping", "2": "Coughing"},
    }


def _odd_lookup(record: Json) -> Json:
    if not isinstance(record, dict):
        return record
    odd: dict[str, Json] = {
        "endAtLocal": False,
        "provider": [],
        "appointmentRoom": "",
        "patient": [],
    }
    if record["deleted"]:
        odd["startAtLocal"] = NO_DATE
        odd["status"] = []
    return record | odd


def _odd_page(page: dict[str, Json]) -> Json:
    consultation = page["consultation"]
    own: dict[str, Json] = {"date": NO_DATE, "status": [], "reason": False}
    odd: dict[str, Json] = {
        "consultation": (consultation | own) if isinstance(consultation, dict) else consultation,
        "client": [],
        "consultationLines": {"0": {"productService": "Exam", "quantity": {}}, "2": "Meloxicam"},
        "vitalSignGroup": "none taken",
        "diagnoses": {"1": [], "4": {"name": "Otitis", "code": []}},
    }
    return page | odd
