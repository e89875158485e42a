"""From a clinic's provider type to its adapter."""

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions
from pims_pipeline.providers.port import capabilities_of
from pims_pipeline.providers.registry import (
    ENTRY_POINTS,
    UnknownProvider,
    build_provider,
    registry,
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


def test_the_installed_entry_points_are_those_of_pyproject() -> None:
    """If this fails, the environment is older than ``pyproject.toml``: run `make setup`."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    declared = project["project"]["entry-points"][ENTRY_POINTS]
    assert set(declared) <= set(registry().types)
    assert registry().installed().broken == ()


def test_every_installed_provider_can_be_built_with_the_capabilities_it_declares(
    tmp_path: Path,
) -> None:
    for description in registry().installed().providers:
        clinic = replace(CLINIC, provider_type=description.type)
        provider = build_provider(clinic, options_in(tmp_path))
        assert capabilities_of(provider) == description.capabilities
        provider.close()


def test_building_idexx_neo_starts_no_browser(tmp_path: Path) -> None:
    provider = build_provider(CLINIC, options_in(tmp_path))
    assert isinstance(provider, IdexxNeoProvider)
    assert provider.browser_launches == 0


def test_an_unknown_type_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    clinic = replace(CLINIC, provider_type="paper")
    with pytest.raises(UnknownProvider, match=r"'paper'; known are: .*idexx_neo"):
        build_provider(clinic, options_in(tmp_path))


def test_no_browser_library_is_imported_before_a_login() -> None:
    script = (
        "import sys, pims_pipeline.providers.registry as r\n"
        "r.registry().installed()\n"
        "assert 'httpx2' not in sys.modules\n"
        "import pims_pipeline.providers.idexx_neo.provider\n"
        "assert not [name for name in sys.modules if name.startswith('playwright')]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)  # noqa: S603 - our own script
