"""The status of the clinics by the database's clock. Read-only."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from pims_pipeline.store.clinics import UnknownClinic
from pims_pipeline.store.database.clock import read_clock
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.clinic_status import ClinicState, clinic_states


@dataclass(frozen=True, slots=True)
class StatusOverview:
    """The status of the clinics at one time.

    Attributes:
        states: In the order of the slugs.
        now: The database's time; aware.
    """

    states: list[ClinicState]
    now: datetime


def status_overview(engine: Engine, slug: str | None = None) -> StatusOverview:
    """The status of one clinic, or of all if ``slug`` is None.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    # All hosts share the database's clock; this host's may be wrong.
    now = read_clock(engine).database
    with transaction(engine) as connection:
        states = clinic_states(connection, now)
    if slug is None:
        return StatusOverview(states, now)
    chosen = [state for state in states if state.clinic.slug == slug]
    if not chosen:
        raise UnknownClinic([slug])
    return StatusOverview(chosen, now)
