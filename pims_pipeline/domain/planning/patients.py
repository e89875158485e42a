"""Whether two records are about the same patient or client.

Pure. The vendor's id decides if both records have one: a name may be corrected, and two patients
may share one. Otherwise names are compared.
"""

from dataclasses import dataclass
from typing import Protocol

from pims_pipeline.domain.records.appointments import Client, Patient, PimsAppointment


class NamedParty(Protocol):
    """A patient or a client."""

    @property
    def id(self) -> str | None:
        """The vendor's id; None when the vendor gives none."""

    @property
    def name(self) -> str:
        """The name; empty when the vendor gives none."""


def is_another(before: NamedParty, after: NamedParty) -> bool:
    """Whether ``after`` is another patient or client than ``before``.

    An id that is added to the same name, or where there was no name, is the same patient or
    client. If ``after`` has neither id nor name, it counts as another.
    """
    if before.id and after.id:
        return before.id != after.id
    was, now = _folded(before.name), _folded(after.name)
    if not before.id and not was:
        return False
    return was != now or not (after.id or now)


def contradicts(named: Patient | None, expected: Patient) -> bool:
    """Whether a consultation that names ``named`` is provably not of ``expected``.

    If only one of the two has an id, nothing is proven: a walk-in client may be registered
    during the appointment.
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
    """Whether a response for ``before`` does not apply to ``after``."""
    return (
        before.consultation_id != after.consultation_id
        or is_another(before.patient, after.patient)
        or is_another(before.client, after.client)
    )


@dataclass(frozen=True, slots=True)
class PartyChange:
    """Whether an appointment was given to another patient or client.

    Attributes:
        changed: Whether it has another patient or another client.
        may_be_another_patient: Whether the patient may be another one.
    """

    changed: bool = False
    may_be_another_patient: bool = False

    @classmethod
    def between(cls, patient: Patient, client: Client, after: PimsAppointment) -> "PartyChange":
        """The change from the former ``patient`` and ``client`` to those of ``after``."""
        if is_another(patient, after.patient):
            return cls(changed=True, may_be_another_patient=True)
        if is_another(client, after.client):
            # Without an id, the patient has only a name, and patients share names.
            is_same_patient = bool(patient.id and patient.id == after.patient.id)
            return cls(changed=True, may_be_another_patient=not is_same_patient)
        return cls()


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
