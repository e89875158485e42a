"""The settings as the installation that the checks look at. Creates and migrates nothing."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from sqlalchemy import Engine

from pims_pipeline.cli.runtime import own_database
from pims_pipeline.composition import (
    api_database_url,
    open_engine,
    open_vault,
    provider_options,
)
from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import DoctorFinding
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.settings import Settings
from pims_pipeline.store.dagster.schema import dagster_storage_url

_NONE_YET = DoctorFinding.warning(
    "there is no embedded database yet",
    "run `pims up` or `pims migrate`, or set PIMS_DATABASE_URL to a PostgreSQL of your own",
)
_NOT_HERE = DoctorFinding.skipped(
    "PIMS_DATABASE_URL is unset: a part that runs here has another login, or none"
)


@contextmanager
def opened_installation(settings: Settings) -> Iterator[CheckedInstallation]:
    """The installation, with its embedded database running if it has one."""
    with ExitStack() as stack:
        try:
            url = _database_url(settings, stack)
        except UserFacingError as error:
            yield _without_database(settings, DoctorFinding.failed(str(error)), stack)
            return
        if url is None:
            why = _NOT_HERE if _is_of_one_part(settings) else _NONE_YET
            yield _without_database(settings, why, stack)
            return
        yield _with_database(settings, url, stack)


def _database_url(settings: Settings, stack: ExitStack) -> str | None:
    """The address of the database; None if the embedded one was never created."""
    if settings.database_url is None:
        # Only the embedded database needs the server's wheel.
        from pims_pipeline.store.embedded.server import has_embedded  # noqa: PLC0415 - see above

        if not has_embedded(settings.home):
            return None
    return stack.enter_context(own_database(settings))


def _is_of_one_part(settings: Settings) -> bool:
    """Whether the environment is that of the API, the Dagster UI or the daemon alone."""
    return settings.api_database_url is not None or settings.dagster_postgres_url is not None


def _without_database(
    settings: Settings, why: DoctorFinding, stack: ExitStack
) -> CheckedInstallation:
    return CheckedInstallation(
        home=settings.home,
        providers=provider_options(settings),
        engine=None,
        no_database=why,
        api_engine=_api_engine(settings, stack),
        dagster_url=settings.dagster_graphql_url,
        dagster_storage_url=settings.dagster_url(),
        shares_dagster_storage=False,
    )


def _with_database(settings: Settings, url: str, stack: ExitStack) -> CheckedInstallation:
    return CheckedInstallation(
        home=settings.home,
        providers=provider_options(settings),
        engine=_opened(settings, url, stack),
        api_engine=_api_engine(settings, stack),
        open_vault=partial(open_vault, settings) if _has_key(settings) else None,
        dagster_url=settings.dagster_graphql_url,
        dagster_storage_url=settings.dagster_url() or dagster_storage_url(url),
        shares_dagster_storage=settings.dagster_postgres_url is None,
    )


def _api_engine(settings: Settings, stack: ExitStack) -> Engine | None:
    url = api_database_url(settings)
    return None if url is None else _opened(settings, url, stack)


def _opened(settings: Settings, address: str, stack: ExitStack) -> Engine:
    return stack.enter_context(open_engine(settings, address, migrated=False))


def _has_key(settings: Settings) -> bool:
    """Whether there is a key; opening the vault would create the embedded database's."""
    if settings.encryption_key is not None:
        return True
    from pims_pipeline.store.embedded.encryption_key import (  # noqa: PLC0415 - as above
        has_encryption_key,
    )

    return has_encryption_key(settings.home)
