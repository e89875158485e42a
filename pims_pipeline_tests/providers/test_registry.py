"""From a clinic's provider type to its adapter."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions
from pims_pipeline.providers.port import LooksUpAppointments, PortableSession
from pims_pipeline.providers.registry import (
    PROVIDER_TYPES,
    UnknownProvider,
    build_provider,
)

CLINIC = Clinic(
    id=UUID(int=1),
    slug="riverbend",
    name="Riverbend",
    timezone="America/New_York",
    provider_type="idexx_neo",
    provider_base_url="https://neo.example.test",
    is_active=True,
)


def options_in(directory: Path) -> ProviderOptions:
    return ProviderOptions(login=LoginOptions(artifacts_dir=directory))


def test_every_listed_type_can_be_built(tmp_path: Path) -> None:
    for provider_type in PROVIDER_TYPES:
        clinic = replace(CLINIC, provider_type=provider_type)
        build_provider(clinic, options_in(tmp_path)).close()


def test_idexx_neo_has_every_capability(tmp_path: Path) -> None:
    provider = build_provider(CLINIC, options_in(tmp_path))
    assert isinstance(provider, IdexxNeoProvider)
    assert isinstance(provider, PortableSession)
    assert isinstance(provider, LooksUpAppointments)
    assert provider.browser_launches == 0


def test_an_unknown_type_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    clinic = replace(CLINIC, provider_type="paper")
    with pytest.raises(UnknownProvider, match="'paper'; known are: idexx_neo"):
        build_provider(clinic, options_in(tmp_path))


def test_no_browser_library_is_imported_before_a_login() -> None:
    script = (
        "import sys, pims_pipeline.providers.registry as r\n"
        "assert 'httpx2' not in sys.modules\n"
        "import pims_pipeline.providers.idexx_neo.provider\n"
        "assert not [name for name in sys.modules if name.startswith('playwright')]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)  # noqa: S603 - our own script
