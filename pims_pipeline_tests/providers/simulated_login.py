"""Logins to the simulator: its first clinic, its credentials, and a session without a browser."""

from typing import Protocol
from uuid import UUID

from pims_pipeline.conformance.vendors.idexx_neo import session_of_form
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.port import SessionState
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS, SimulatedClinic

CLINIC = DEFAULT_CLINICS[0]
CREDENTIALS = neo_credentials(
    username=CLINIC.username, password=CLINIC.password, company_id=CLINIC.company_id
)


class OpenProvider(Protocol):
    """Builds an adapter with short waits."""

    def __call__(
        self,
        base_url: str | None = None,
        *,
        login_timeout: float = ...,
        read_timeout: float = ...,
        total_timeout: float = ...,
    ) -> IdexxNeoProvider: ...


def clinic_at(base_url: str) -> Clinic:
    """``CLINIC`` as a clinic of the pipeline whose vendor is at ``base_url``."""
    return Clinic(
        id=UUID(int=1),
        slug="riverbend",
        name=CLINIC.name,
        timezone=CLINIC.timezone,
        provider_type="idexx_neo",
        provider_base_url=base_url,
        is_active=True,
    )


def session_without_browser(base_url: str, clinic: SimulatedClinic = CLINIC) -> SessionState:
    """A live session of the simulator, obtained by sending its form over HTTP."""
    credentials = neo_credentials(clinic.username, clinic.password, clinic.company_id)
    return session_of_form(base_url, credentials)
