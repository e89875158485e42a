"""The history of one case. Read-only."""

from uuid import UUID

from sqlalchemy import Engine

from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.case_history import CaseHistory, case_of_appointment
from pims_pipeline.store.queries.case_history import case_history as stored_history


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
