"""The appointment that a case of a v4.0 installation belongs to, from the text it is kept in.

Pure. Add a form of their external ids here. What is imported belongs in ``importing``.
"""

import re

EXTERNAL_ID_PREFIX = "pims-appt-idexx-neo-"
"""Begins the external id of the cases that the v4.0 service makes."""

EXTERNAL_ID_PREFIXES = (EXTERNAL_ID_PREFIX, "idexx-appt-")
"""The same, and that of older cases."""

_PREFIXED = re.compile(r"(?:pims-appt-idexx-neo-|idexx-appt-)(\S+)")
_PREFIXES = ("pims-appt-", "idexx-appt-")


def appointment_of_external_id(external_id: str | None) -> str | None:
    """The vendor's appointment id in an ``external_id`` of the deployed layout.

    None if the text is no such id: the case was made by people, or by another program.

    Example:
        ``pims-appt-idexx-neo-4711`` and the older ``idexx-appt-4711`` both name ``4711``.
    """
    found = _PREFIXED.fullmatch((external_id or "").strip())
    return found[1] if found else None


def appointment_of_pims_id(pims_id: str | None) -> str | None:
    """The vendor's appointment id in a ``pims_id`` of the documented layout.

    It is the appointment id itself; one with a prefix of ``external_id`` is read as that.
    """
    plain = (pims_id or "").strip()
    if plain.startswith(_PREFIXES):
        return appointment_of_external_id(plain)
    return plain if plain and not re.search(r"\s", plain) else None


def external_id_of(appointment_id: str) -> str:
    """The external id that the v4.0 service gives the case of an appointment."""
    return EXTERNAL_ID_PREFIX + appointment_id


def external_ids_of(appointment_id: str) -> tuple[str, ...]:
    """Every external id that a case of the appointment may have."""
    return external_id_of(appointment_id), f"idexx-appt-{appointment_id}"
