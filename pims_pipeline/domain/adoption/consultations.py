"""Whether a consultation of the v4.0 service is whole, and how it is kept here.

Pure. The next sync that fetches the consultation replaces it.
"""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from pims_pipeline.domain.records.canonical import canonical_json, digest

_SOAP = ("subjective", "objective", "assessment", "plan")


def carried_consultation(
    stored: Any, appointment_id: str, *, fetched_at: datetime
) -> dict[str, Any] | None:
    """The consultation for ``metadata.consultation``; None if it is not whole.

    It is whole if it names itself and this appointment, and has notes. Its own fields are kept as
    they are.

    Args:
        stored: What is in ``metadata.pimsConsultation``.
        appointment_id: The vendor's id of the case's appointment.
        fetched_at: The latest time at which the v4.0 service may have fetched it, aware.
    """
    if not isinstance(stored, Mapping):
        return None
    consultation_id = _identity(stored.get("consultationId"))
    of = _identity(stored.get("appointmentId"))
    if consultation_id is None or of not in {None, appointment_id} or not _has_notes(stored):
        return None
    if _holds_infinity(stored):
        return None
    patient = stored.get("patient")
    return {
        **{key: value for key, value in stored.items() if key != "patient"},
        **({"patient": patient} if _is_patient(patient) else {}),
        "appointmentId": appointment_id,
        "consultationId": consultation_id,
        "fetchedAt": fetched_at.isoformat(),
        "digest": digest(canonical_json(stored)),
    }


def _holds_infinity(value: Any) -> bool:
    """Whether it holds a number that Python reads as infinite, and that no JSON can hold then."""
    if isinstance(value, Mapping):
        return any(map(_holds_infinity, value.values()))
    if isinstance(value, list):
        return any(map(_holds_infinity, value))
    return isinstance(value, float) and not isfinite(value)


def _identity(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _has_notes(stored: Mapping[str, Any]) -> bool:
    soap = stored.get("soapNotes")
    texts = [stored.get("notes")]
    if isinstance(soap, Mapping):
        texts += [soap.get(part) for part in _SOAP]
    return any(isinstance(text, str) and text.strip() for text in texts)


def _is_patient(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("id"), str | None)
