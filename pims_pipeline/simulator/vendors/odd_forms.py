"""Sound responses in an odd form: odd bytes, a wrong media type, odd shapes of single fields.

A client must be able to read all of them. ``faults`` decides which fault applies, a vendor's
``oddities`` which fields get odd shapes.
"""

import json
from collections.abc import Callable

from fastapi.responses import Response

from pims_pipeline.simulator.faults import FaultKind

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

NO_DATE = "0000-00-00 00:00:00"
"""What some databases keep in place of a missing date."""
_REMARK_OF_ODD_BYTES = '"remark": "Caf\u00e9,\x0btwo\nlines",'
_REMARK_ABOUT_LOGINS = (
    "\"remark\": \"<form action='/login'>Owner could not log in: <input type='password'>\","
)


def apply_oddity(
    kind: FaultKind, response: Response, describe_oddly: Callable[[Json], Json]
) -> Response:
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
            body = json.dumps(describe_oddly(json.loads(text))).encode()
            return _again(response, body, "application/json")
        case _:
            return response


def _again(response: Response, body: bytes, media_type: str) -> Response:
    return Response(body, status_code=response.status_code, headers={"content-type": media_type})


def _with_remark(text: str, remark: str) -> str:
    """The JSON with an extra field in its first object that has fields."""
    return text.replace('{"', "{" + remark + '"', 1)
