"""Templates become responses. Everything that a template prints is escaped.

A function or filter that several templates need belongs here; what a single page computes belongs
in its route.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pims_pipeline.domain.clinics import zone_named

_STATIC = Path(__file__).parent / "static"
_LONGEST_VALUE = 400
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page from a template.

    Args:
        request: The request that it responds to; its visitor, if any, is in the navigation.
        template: Its file in ``templates``.
        status: The HTTP status.
        headers: Further headers.
        values: What the template shows.
    """
    visitor = getattr(request.state, "visitor", None)
    root = request.scope.get("root_path", "")
    shown = {"visitor": visitor, "root": root, "path": request.url.path, **values}
    content = _environment().get_template(template).render(shown)
    return HTMLResponse(content, status, headers=dict(headers or {}))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pims_pipeline.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "age": age,
        "local": local_time,
        "clock": clock_time,
        "words": words_of,
        "value": shown_value,
        "fact": shown_fact,
        "json": json_text,
    }
    environment.globals["asset"] = asset
    return environment


@cache
def asset(name: str) -> str:
    """A static file's address below the console, which changes with its content."""
    digest = hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


def age(when: datetime | None, now: datetime) -> str:
    """How long ago ``when`` was, such as ``5 min``; both are aware.

    Example:
        >>> age(datetime(2026, 3, 9, 8, tzinfo=UTC), datetime(2026, 3, 9, 10, tzinfo=UTC))
        '2 h'
    """
    if when is None:
        return "never"
    seconds = max(0, round((now - when).total_seconds()))
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def local_time(when: datetime | None, timezone: str) -> str:
    """A time in a zone, such as ``2026-03-09 14:05``; empty for None."""
    return in_zone(when, timezone).isoformat(" ", "minutes")[:16] if when else ""


def clock_time(when: datetime | None, timezone: str) -> str:
    """A time of day in a zone, such as ``14:05``; empty for None."""
    return f"{in_zone(when, timezone):%H:%M}" if when else ""


def in_zone(when: datetime, timezone: str) -> datetime:
    """A time in a zone; as it is, if the calendar begins or ends in between.

    Raises:
        UnknownZone: If this host does not know the zone.
    """
    try:
        return when.astimezone(zone_named(timezone))
    except OverflowError:
        return when


def words_of(name: str) -> str:
    """The words of a name of the code: ``soft_deleted`` and ``scheduledStart`` alike."""
    spaced = "".join(f" {each.lower()}" if each.isupper() else each for each in name)
    return spaced.replace("_", " ").replace(".", " ").strip()


def shown_value(value: object) -> str:
    """A value of a change as text, shortened; a dash for nothing."""
    if value is None or value == "":
        return "—"
    text = value if isinstance(value, str) else json_text(value)
    if len(text) <= _LONGEST_VALUE:
        return text
    return f"{text[:_LONGEST_VALUE]}… ({len(text)} characters)"


def shown_fact(value: object, timezone: str) -> str:
    """A value of a change as ``shown_value``; a time, which is stored in UTC, in the zone."""
    time = _time_of(value)
    return shown_value(value) if time is None else local_time(time, timezone)


def _time_of(value: object) -> datetime | None:
    """The time that a text names; None for any other value."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        # A name may look like a time, and have a month 13.
        return None


def json_text(value: object) -> str:
    """A value as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)
