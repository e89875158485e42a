"""Logins to the simulator: its first clinic, its credentials, and a session without a browser."""

import re
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import httpx2

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.idexx_neo.session import (
    NeoSession,
    SessionCookie,
    account_of,
    exported,
)
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
    with httpx2.Client(base_url=base_url, trust_env=False) as http:
        token = re.search(r'data-token="([0-9a-f]+)"', http.get("/login").text)
        assert token is not None
        http.post(
            "/login",
            data={
                "company_id": clinic.company_id,
                "username": clinic.username,
                "password": clinic.password,
                "csrf_token": token[1],
            },
        )
        cookies = tuple(
            SessionCookie(name=c.name, value=c.value or "", domain=c.domain)
            for c in http.cookies.jar
        )
    credentials = neo_credentials(clinic.username, clinic.password, clinic.company_id)
    return exported(
        NeoSession(
            account=account_of(base_url, credentials),
            base_url=base_url,
            cookies=cookies,
            expires_at=datetime.now(UTC) + timedelta(hours=8),
        )
    )
