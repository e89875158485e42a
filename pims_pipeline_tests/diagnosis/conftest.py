"""Fixtures: an installation to check, on the test's database."""

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import DoctorFinding
from pims_pipeline.providers.options import LoginOptions, ProviderOptions
from pims_pipeline.store.secrets.vault import Vault


def the_same(vault: Vault) -> Vault:
    return vault


@pytest.fixture
def installation(engine: Engine, vault: Vault, tmp_path: Path) -> CheckedInstallation:
    """An installation with a migrated database, a key and a home that does not exist yet."""
    home = tmp_path / "home"
    return CheckedInstallation(
        home=home,
        providers=ProviderOptions(login=LoginOptions(artifacts_dir=home / "logins")),
        engine=engine,
        open_vault=partial(the_same, vault),
    )


@pytest.fixture
def without_database(tmp_path: Path) -> CheckedInstallation:
    """An installation whose embedded database was never created."""
    return CheckedInstallation(
        home=tmp_path,
        providers=ProviderOptions(login=LoginOptions(artifacts_dir=tmp_path / "logins")),
        engine=None,
        no_database=DoctorFinding.warning("there is no database yet", "create it"),
    )
