"""The mode of an adopted clinic: changing it, and what it says about syncs.

In ``shadow`` and ``live`` the clinic is synced by our schedule, in ``off`` it is deactivated. Only
a switch, which checks the last comparison, makes a clinic ``live``.
"""

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.adoption.clinics import AdoptionRefused
from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.adoptions import Adoption, NotAdopted, adoption_of, log_step, set_mode
from pims_pipeline.store.clinics import (
    clinic_by_slug,
    deactivate_clinic,
    readdress_clinic,
)
from pims_pipeline.store.database.engine import transaction

MODE = "mode"
"""The step in the log of adoptions."""


def adopted_clinic(
    connection: Connection, slug: str, *, lock: bool = False
) -> tuple[Clinic, Adoption]:
    """The clinic and its adoption; ``lock`` locks the latter against other changes.

    Raises:
        NotAdopted: If it was not adopted.
        UnknownClinic: If there is no such clinic here.
    """
    clinic = clinic_by_slug(connection, slug)
    adoption = adoption_of(connection, clinic.id, lock=lock)
    if adoption is None:
        raise NotAdopted(slug)
    return clinic, adoption


def change_mode(engine: Engine, slug: str, mode: AdoptionMode) -> bool:
    """Turn the adoption of a clinic off, or on in ``shadow``; returns whether it was not so.

    Raises:
        AdoptionRefused: If the clinic is live, or is to be: that takes a switch.
        NotAdopted: If it was not adopted.
        UnknownClinic: If there is no such clinic here.
    """
    with transaction(engine) as connection:
        clinic, adoption = adopted_clinic(connection, slug, lock=True)
        if AdoptionMode.LIVE in {mode, adoption.mode} and mode is not adoption.mode:
            raise AdoptionRefused(
                f"clinic {slug!r} is in mode {adoption.mode}; only `pims adopt switch --clinic "
                f"{slug}` makes a clinic live, and `--back` makes it shadow again"
            )
        return enter_mode(connection, clinic, adoption, mode)


def enter_mode(
    connection: Connection, clinic: Clinic, adoption: Adoption, mode: AdoptionMode
) -> bool:
    """Set the mode with what belongs to it, and log it; returns whether it changed.

    The clinic is deactivated in ``off``, and activated in the others.
    """
    if adoption.mode is mode:
        return False
    set_mode(connection, clinic.id, mode)
    if mode is AdoptionMode.OFF:
        deactivate_clinic(connection, clinic.slug)
    elif adoption.mode is AdoptionMode.OFF:
        readdress_clinic(connection, clinic.slug, clinic.provider_base_url)
    log_step(
        connection,
        MODE,
        {"from": adoption.mode.value, "to": mode.value},
        clinic_id=clinic.id,
    )
    return True
