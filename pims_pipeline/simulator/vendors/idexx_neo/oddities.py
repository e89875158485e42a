"""Sound responses in an odd form: odd bytes, a wrong media type, odd shapes of single fields.

A client must be able to read all of them. ``faults`` decides which fault applies.
"""

import json

from fastapi.responses import Response

from pims_pipeline.simulator.faults import FaultKind

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_REMARK_OF_ODD_BYTES = '"remark": "Caf\u00e9,\x0btwo\nlines",'
_REMARK_ABOUT_LOGINS = (
    "\"remark\": \"<form action='/login'>Owner could not log in: <input type='password'>\","
)
_NO_DATE = "0000-00-00 00:00:00"


def apply_oddity(kind: FaultKind, response: Response) -> Response:
    """The response in the odd form of ``kind``; unchanged for a kind that is no oddity."""
    text = bytes(response.body).decode()
    match kind:
        case FaultKind.ODD_BYTES:
            body = _with_remark(text, _REMARK_OF_ODD_BYTES).encode("cp1252", "replace")
            return _again(response, body, "application/json")
        case FaultKind.JSON_AS_HTML:
            body = _with_remark(text, _REMARK_ABOUT_LOGINS).encode()
            return _again(response, body, "text/html; charset=utf-8")
        case FaultKind.ODD_DESCRIPTIONS:
            body = json.dumps(_oddly_described(json.loads(text))).encode()
            return _again(response, body, "application/json")
        case _:
            return response


def _again(response: Response, body: bytes, media_type: str) -> Response:
    return Response(body, status_code=response.status_code, headers={"content-type": media_type})


def _with_remark(text: str, remark: str) -> str:
    """The JSON with an extra field in its first object that has fields."""
    return text.replace('{"', "{" + remark + '"', 1)


def _oddly_described(content: Json) -> Json:
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
        "arrival_date_time": _NO_DATE,
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
        odd["startAtLocal"] = _NO_DATE
        odd["status"] = []
    return record | odd


def _odd_page(page: dict[str, Json]) -> Json:
    consultation = page["consultation"]
    own: dict[str, Json] = {"date": _NO_DATE, "status": [], "reason": False}
    odd: dict[str, Json] = {
        "consultation": (consultation | own) if isinstance(consultation, dict) else consultation,
        "client": [],
        "consultationLines": {"0": {"productService": "Exam", "quantity": {}}, "2": "Meloxicam"},
        "vitalSignGroup": "none taken",
        "diagnoses": {"1": [], "4": {"name": "Otitis", "code": []}},
    }
    return page | odd
