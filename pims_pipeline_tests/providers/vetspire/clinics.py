"""The simulated clinics of Vetspire as clinics of the pipeline."""

from datetime import date, datetime, time
from pathlib import Path
from typing import Protocol
from uuid import UUID

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment, Snapshot
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import Credentials, PimsProvider
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.providers.vetspire.provider import VetspireProvider
from pims_pipeline.simulator.practice.clinics import VETSPIRE_CLINICS, SimulatedClinic

DAY = date(2026, 3, 4)
TODAY = DateRange(DAY, DAY)
CHICAGO, CATS, AUCKLAND = VETSPIRE_CLINICS
"""The first two share a key."""


class OpenVetspire(Protocol):
    """Opens an adapter of the first clinic, whose key was accepted."""

    def __call__(
        self, base_url: str | None = None, *, total_timeout: float = ...
    ) -> VetspireProvider: ...


def clinic_at(base_url: str, clinic: SimulatedClinic = CHICAGO) -> Clinic:
    return Clinic(
        id=UUID(int=2),
        slug="juniper",
        name=clinic.name,
        timezone=clinic.timezone,
        provider_type="vetspire",
        provider_base_url=f"{base_url}/graphql",
        is_active=True,
    )


def credentials_of(clinic: SimulatedClinic = CHICAGO, **others: str) -> Credentials:
    return Credentials({"api_key": clinic.api_key, "location_id": clinic.company_id, **others})


def new_provider(
    base_url: str, clinic: SimulatedClinic = CHICAGO, *, total_timeout: float = 60
) -> VetspireProvider:
    """An adapter that has sent nothing yet."""
    requests = RequestOptions(per_second=1000, retry_base_delay=0.001, total_timeout=total_timeout)
    login = LoginOptions(artifacts_dir=Path("unused"))
    return VetspireProvider(
        clinic_at(base_url, clinic), ProviderOptions(login=login, requests=requests)
    )


def provider_at(
    base_url: str,
    clinic: SimulatedClinic = CHICAGO,
    *,
    stop: StopSignal | None = None,
    total_timeout: float = 60,
) -> VetspireProvider:
    """An adapter whose key was accepted."""
    provider = new_provider(base_url, clinic, total_timeout=total_timeout)
    provider.watch(stop or StopSignal())
    assert provider.authenticate(credentials_of(clinic))
    return provider


def at(hour: int, minute: int = 0) -> datetime:
    return datetime.combine(DAY, time(hour, minute))


def listed(provider: PimsProvider, window: DateRange = TODAY) -> dict[str, PimsAppointment]:
    return by_identity(provider.fetch_appointments(window))


def by_identity(snapshot: Snapshot) -> dict[str, PimsAppointment]:
    return {each.appointment_id: each for each in snapshot.appointments}
