"""Whether two records speak of the same patient, or of the same client.

The vendor's id decides where both records carry one: a name may be corrected, and two
patients may share one. Where ids cannot be compared, names are. Pure.
"""

from typing import Protocol

from pims_pipeline.domain.appointments import Patient, PimsAppointment


class Named(Protocol):
    """A patient or a client."""

    @property
    def id(self) -> str | None:
        """The vendor's identity of it."""

    @property
    def name(self) -> str:
        """Its name; empty when the vendor gives none."""


def is_another(before: Named, after: Named) -> bool:
    """Whether a record that spoke of ``before`` now speaks of somebody else.

    An id that appears beside the same name, or where nobody was named, is the same one. A
    record that names nobody any more cannot be shown to speak of the same one.
    """
    if before.id and after.id:
        return before.id != after.id
    was, now = _folded(before.name), _folded(after.name)
    if not before.id and not was:
        return False
    return was != now or not (after.id or now)


def contradicts(named: Patient | None, expected: Patient) -> bool:
    """Whether a consultation that names ``named`` is provably not of ``expected``.

    Where only one of the two has an id, as when a walk-in is registered during the
    appointment, nothing is proven.
    """
    if named is None:
        return False
    if named.id and expected.id:
        return named.id != expected.id
    if named.id or expected.id:
        return False
    names = {_folded(named.name), _folded(expected.name)} - {""}
    return len(names) > 1


def is_about_another(before: PimsAppointment, after: PimsAppointment) -> bool:
    """Whether what was asked about ``before`` is no answer about ``after``."""
    return (
        before.consultation_id != after.consultation_id
        or is_another(before.patient, after.patient)
        or is_another(before.client, after.client)
    )


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
