"""The adopted clinics with their modes, and the steps that were done, for ``pims adopt status``."""

from dataclasses import dataclass

from sqlalchemy import Engine

from pims_pipeline.adoption.modes import adopted_clinic
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.adoptions import (
    Adoption,
    AdoptionStep,
    all_adoptions,
    linked_counts,
    steps_of,
)
from pims_pipeline.store.clinics import clinic_by_id
from pims_pipeline.store.database.engine import transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedClinic:
    """A clinic, its adoption, and what was done with it.

    Attributes:
        linked_cases: How many of our cases belong to one of theirs.
        steps: The first one first.
    """

    clinic: Clinic
    adoption: Adoption
    linked_cases: int
    steps: tuple[AdoptionStep, ...]


@dataclass(frozen=True, slots=True)
class AdoptionOverview:
    """The adopted clinics.

    Attributes:
        clinics: In the order in which they were adopted.
        steps: Those of no clinic, such as the import of keys.
    """

    clinics: tuple[AdoptedClinic, ...]
    steps: tuple[AdoptionStep, ...]


def adoption_overview(engine: Engine, slug: str | None = None) -> AdoptionOverview:
    """All adopted clinics, or the one called ``slug``.

    Raises:
        NotAdopted: If that clinic was not adopted.
        UnknownClinic: If there is no such clinic here.
    """
    with transaction(engine) as connection:
        if slug is None:
            adoptions = all_adoptions(connection)
        else:
            adoptions = [adopted_clinic(connection, slug)[1]]
        linked, steps = linked_counts(connection), steps_of(connection)
        clinics = tuple(
            AdoptedClinic(
                clinic=clinic_by_id(connection, adoption.clinic_id),
                adoption=adoption,
                linked_cases=linked.get(adoption.clinic_id, 0),
                steps=tuple(each for each in steps if each.clinic_id == adoption.clinic_id),
            )
            for adoption in adoptions
        )
    return AdoptionOverview(clinics, tuple(each for each in steps if each.clinic_id is None))
