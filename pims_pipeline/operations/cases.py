"""Views of cases: the cases of a clinic, and the history of one. Read-only."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.case_history import CaseHistory, case_of_appointment
from pims_pipeline.store.queries.case_history import case_history as stored_history
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


def case_history(engine: Engine, case_id: UUID) -> CaseHistory:
    """A case and its history.

    Raises:
        UnknownCase: If the case does not exist.
    """
    with transaction(engine) as connection:
        return stored_history(connection, case_id)


def appointment_history(engine: Engine, slug: str, pims_id: str) -> CaseHistory:
    """The case, with its history, of the appointment with the vendor's identity ``pims_id``.

    Raises:
        UnknownClinic: If the clinic does not exist.
        UnknownCase: If the appointment has no case.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        return stored_history(connection, case_of_appointment(connection, clinic, pims_id))
