"""Read ``cases.metadata``: three keys are ours, and the application may write anything.

No value there fails a statement or stops another case: the SQL cuts our part out of any JSON, and
the readers report what they cannot read. ``pims_pipeline.domain.planning.inbound`` decides how to
repair it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from pims_pipeline.domain.planning.case_writes import (
    APPOINTMENT,
    CONSULTATION,
    METADATA,
    RECONCILIATION,
)
from pims_pipeline.domain.records.appointments import Patient
from pims_pipeline.domain.records.cases import AttachedConsultation

MAX_DEPTH = 60
"""A value that is nested deeper is not read; our own are five levels deep."""

SOFT_DELETED = "coalesce((c.metadata #>> '{reconciliation,softDeleted}') = 'true', false)"
"""Whether a case is soft-deleted, in any statement that names ``cases AS c``."""

OBJECT = "CASE jsonb_typeof(c.metadata) WHEN 'object' THEN c.metadata ELSE jsonb_build_object() END"
"""The case's metadata as something that a key can be written into."""

ENRICHED = "coalesce(jsonb_typeof(c.metadata -> 'consultation') = 'object', false)"

_IS_CONSULTATION = """(
    coalesce(jsonb_typeof(c.metadata #> '{consultation,digest}') = 'string', false)
    AND coalesce(jsonb_typeof(c.metadata #> '{consultation,consultationId}') = 'string', false)
    AND coalesce(jsonb_typeof(c.metadata #> '{consultation,patient}'), 'null')
        IN ('null', 'object')
    AND coalesce(jsonb_typeof(c.metadata #> '{consultation,patient,id}'), 'null')
        IN ('null', 'string'))"""
"""Whether a sync may have written it: with an id and a digest, and a patient if any."""

_FACTS = ("status", "type", "provider", "room", "reason")
_NAMES = ", ".join(f"'{name}'" for name in _FACTS)
_HAS_FACTS = " AND ".join(
    f"jsonb_typeof(c.metadata #> '{{appointment,{name}}}') IN ('string', 'null')" for name in _FACTS
)

IS_SETTLED = f"""(
    CASE jsonb_typeof(c.metadata -> 'appointment') WHEN 'object' THEN coalesce(
        {_HAS_FACTS} AND (c.metadata -> 'appointment') - ARRAY[{_NAMES}] = jsonb_build_object(),
        false) ELSE false END
    AND coalesce(jsonb_typeof(c.metadata -> 'reconciliation'), 'null') IN ('null', 'object')
    AND NOT {SOFT_DELETED}
    AND (coalesce(jsonb_typeof(c.metadata -> 'consultation'), 'null') = 'null'
         OR {_IS_CONSULTATION} AND (
             coalesce(jsonb_typeof(c.metadata #> '{{consultation,patient}}'), 'null') = 'null'
             OR coalesce(nullif(c.metadata #>> '{{consultation,patient,id}}', '')
                         = a.payload #>> '{{patient,id}}', false))))"""
"""Whether a case is not soft-deleted, all of our keys are readable, and its consultation is of the
patient of ``pims_appointments AS a``. False also where that needs a reading of the case."""

COLUMNS = f"""
    CASE jsonb_typeof(c.metadata) WHEN 'object' THEN NULL ELSE c.metadata::text END
        AS odd_metadata,
    (c.metadata -> 'appointment')::text AS facts,
    {_IS_CONSULTATION} AS has_consultation,
    (c.metadata #> '{{consultation,patient}}')::text AS consultation_patient,
    CASE WHEN {_IS_CONSULTATION} THEN NULL ELSE (c.metadata -> 'consultation')::text END
        AS odd_consultation,
    CASE jsonb_typeof(c.metadata -> 'reconciliation') WHEN 'object'
        THEN NULL ELSE (c.metadata -> 'reconciliation')::text END AS odd_reconciliation"""
"""What ``facts_of``, ``attached_to`` and ``damage_of`` need of a case."""

WHOLE_CONSULTATION = "(c.metadata -> 'consultation')::text AS whole_consultation"


def json_value(text: str | None) -> Any:
    """The value of a JSON text from Postgres, or the text itself where Python cannot hold it.

    Postgres takes numbers of a hundred thousand digits and thousands of levels of nesting.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if _is_shallow(text) else text


_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def _is_shallow(text: str) -> bool:
    """Whether arrays and objects are nested at most ``MAX_DEPTH`` levels deep."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return True
    depth = deepest = 0
    # A vendor's text may hold any number of brackets.
    for char in _JSON_STRING.sub("", text):
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest <= MAX_DEPTH


def facts_of(row: Row[Any]) -> Mapping[str, str | None]:
    """The vendor's descriptive fields; empty when they cannot be read."""
    return _facts(json_value(row.facts)) or {}


def _facts(value: Any) -> dict[str, str | None] | None:
    # A sync writes all of them; the application wrote what has only some.
    if not isinstance(value, dict) or any(name not in value for name in _FACTS):
        return None
    facts = {name: value.get(name) for name in _FACTS}
    readable = all(fact is None or isinstance(fact, str) for fact in facts.values())
    return facts if readable else None


def attached_to(row: Row[Any], *, whole: bool) -> AttachedConsultation | None:
    """The consultation on the case; None when there is none, or none that can be read."""
    if not row.has_consultation:
        return None
    content = json_value(row.whole_consultation) if whole else None
    return AttachedConsultation(patient=_patient(row.consultation_patient), content=content)


def _patient(text: str | None) -> Patient | None:
    named = json_value(text)
    if not isinstance(named, dict):
        return None
    words = {
        name: value if isinstance(value := named.get(name), str) else None
        for name in ("id", "name", "species")
    }
    return Patient(id=words["id"], name=words["name"] or "", species=words["species"])


def whole_consultation(row: Row[Any]) -> Mapping[str, Any] | None:
    """All of the consultation on the case; None when there is none, or none that can be read."""
    found = json_value(row.whole_consultation) if row.has_consultation else None
    return found if isinstance(found, dict) else None


def damage_of(row: Row[Any]) -> Mapping[str, Any]:
    """The values of our keys that cannot be read; see ``Case.damage``.

    A JSON null in one of our keys, except the appointment's, counts as absent.
    """
    if row.odd_metadata is not None:
        return {METADATA: json_value(row.odd_metadata)}
    damage: dict[str, Any] = {}
    facts = json_value(row.facts)
    if _facts(facts) is None:
        damage[APPOINTMENT] = facts
    odd = {CONSULTATION: row.odd_consultation, RECONCILIATION: row.odd_reconciliation}
    damage |= {
        place: found for place, text in odd.items() if (found := json_value(text)) is not None
    }
    return damage
