"""What the checks look at: plain values and open connections, made of the settings by the root."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from pims_pipeline.domain.diagnosis.findings import DoctorFinding
from pims_pipeline.providers.options import ProviderOptions

if TYPE_CHECKING:
    from pims_pipeline.store.secrets.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedInstallation:
    """An installation to check.

    Attributes:
        home: The directory of local files.
        providers: The options of all adapters, which name the directory of artifacts.
        engine: On the database of cases; None if there is none.
        no_database: Why there is none.
        api_engine: On the database as the API logs in; None if it has no login of its own.
        open_vault: Opens the vault; None if no key exists yet.
        dagster_url: The address of the Dagster UI, if one is configured; may hold a password.
        dagster_storage_url: The address of Dagster's storage, a secret; None without a database.
        shares_dagster_storage: Whether that is the database of cases, at the same address.
        clock: Seconds since 1970.
    """

    home: Path
    providers: ProviderOptions
    engine: Engine | None
    no_database: DoctorFinding | None = None
    api_engine: Engine | None = None
    open_vault: Callable[[], "Vault"] | None = None
    dagster_url: str | None = None
    dagster_storage_url: str | None = None
    shares_dagster_storage: bool = True
    clock: Callable[[], float] = time.time

    def database(self) -> Engine:
        """The engine, for checks that need a database.

        Raises:
            LookupError: If there is none: such a check is not run.
        """
        if self.engine is None:
            raise LookupError("there is no database")
        return self.engine
