"""The vendor's JSON with odd shapes in fields that describe.

A client must be able to read all of them. What identifies and places a record stays sound.
"""

from pims_pipeline.simulator.vendors.odd_forms import NO_DATE, Json

_ODD_TEXTS: dict[str, Json] = {
    "reason": {"0": "Limping", "2": "Coughing"},
    "note": False,
    "provider": [],
    "bookedOnline": "perhaps",
    "insertedAt": NO_DATE,
    "title": {},
    "vitals": "none taken",
    "problems": {"1": [], "4": {"name": "Otitis", "id": []}},
    "treatments": {"0": {"name": "Exam", "id": {}}, "2": "Meloxicam"},
    "phoneNumbers": {},
    "email": [],
    "breed": False,
}


def oddly_described(content: Json) -> Json:
    """A response with lists, objects and flags where descriptions belong."""
    if isinstance(content, list):
        return [oddly_described(each) for each in content]
    if not isinstance(content, dict):
        return content
    odd = {name: _ODD_TEXTS.get(name, oddly_described(value)) for name, value in content.items()}
    if isinstance(content.get("type"), dict):
        odd["type"] = {**content["type"], "name": ["Consultation"]}  # type: ignore[dict-item]
    return odd
