"""The cases of a clinic. Read-only. The history of one is in ``case_history``."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.cases import ListedCase, list_cases


@dataclass(frozen=True, slots=True)
class ClinicCases:
    """A clinic's cases, the latest appointment first."""

    clinic: Clinic
    cases: list[ListedCase]


def clinic_cases(
    engine: Engine, slug: str, *, business_date: date | None = None, limit: int
) -> ClinicCases:
    """At most ``limit`` cases of a clinic, of one date or of all.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        found = list_cases(connection, clinic, business_date=business_date, limit=limit)
        return ClinicCases(clinic, found)
