"""Examples for the OpenAPI document.

Examples of responses are recorded on a simulated day: ``make examples`` writes
``examples.json``, and a test compares them. Add examples of requests here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

SOURCE: Final = Path(__file__).with_name("examples.json")

_FOUND: Mapping[str, Any] = json.loads(SOURCE.read_text(encoding="utf-8"))

ACCEPTED: Final = _FOUND["accepted"]
INBOUND: Final = _FOUND["inbound"]
FULL: Final = _FOUND["full"]
STATUS: Final = {name: _FOUND[name] for name in ("running", "completed", "failed")}
"""By status."""
LIST: Final = _FOUND["page"]
PROVENANCE: Final = _FOUND["provenance"]
CHANGES: Final = _FOUND["changes"]

_WEEK: Mapping[str, Any] = {"startDate": "2026-03-09", "endDate": "2026-03-16"}

_NESTED_WEEK: Mapping[str, Any] = {"start": "2026-03-09", "end": "2026-03-16"}


def _body(summary: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "value": value}


BODIES: Mapping[str, dict[str, Any]] = {
    "inbound": {
        "dates": _body("Given dates", _WEEK),
        "nested": _body("Given dates, as for the v4.0 service", {"dateRange": _NESTED_WEEK}),
        "ahead": _body("Today and the next two weeks", {"daysAhead": 14}),
    },
    "cases": {"dates": _body("Appointments of given dates", {**_WEEK, "parallelBatchSize": 5})},
    "reconcile": {"back": _body("From two weeks ago", {"lookbackDays": 14})},
    "full": {
        "dates": _body("Given dates", {**_WEEK, "lookbackDays": 7, "parallelBatchSize": 5}),
        "ahead": _body("One week back, two weeks ahead", {"daysAhead": 14, "lookbackDays": 7}),
    },
}
"""Examples of request bodies, by scope and name."""
