"""Clinics' logins: storing and checking them.

Rotation of the encryption key belongs in ``store/secrets/rotation.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.operations.descriptions import DescribedClinic, described
from pims_pipeline.providers.credential_fields import checked_credentials
from pims_pipeline.providers.port import Credentials, PimsError
from pims_pipeline.providers.registry import registry
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.credentials import credential_status, put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import ProviderFactory, SyncContext
from pims_pipeline.sync.session import clinic_session


@dataclass(frozen=True, slots=True)
class LoginCheck:
    """The result of a login.

    Attributes:
        status: The status of the credentials after it; None if none are stored.
        failure: Why the login failed; None if it succeeded.
        description: What the vendor then said about the clinic; None after a failure.
    """

    status: CredentialStatus | None
    failure: PimsError | None
    description: DescribedClinic | None = None


def checked_login(provider_type: str, entered: Mapping[str, str]) -> Credentials:
    """The login of these fields, which are what the provider declares.

    Raises:
        CredentialsRefused: If a field is unknown, missing or has another form.
        UnknownProvider, UnusableProvider: If there is no such provider.
    """
    return checked_credentials(registry().description(provider_type).credential_fields, entered)


def store_login(engine: Engine, vault: Vault, clinic: Clinic, entered: Mapping[str, str]) -> None:
    """Store or replace the clinic's login as unverified, and drop its session.

    Raises:
        CredentialsRefused: See ``checked_login``; nothing is stored.
    """
    login = checked_login(clinic.provider_type, entered)
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, login.to_mapping())


def check_login(
    engine: Engine, vault: Vault, slug: str, open_provider: ProviderFactory, *, run_id: str
) -> LoginCheck:
    """Log in once with the stored login, whatever its status; ask what the vendor then says.

    The result is stored, and the next sync uses the session.

    Args:
        engine: The database of cases.
        vault: Decrypts the login.
        slug: The clinic's.
        open_provider: Returns the clinic's provider.
        run_id: The access log's entry in place of a run id.

    Raises:
        UnknownClinic: If the clinic does not exist.
        NoCredentials: If it has no login.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
    failure: PimsError | None = None
    description: DescribedClinic | None = None
    with run_liveness(engine) as liveness:
        context = SyncContext(
            engine=engine,
            vault=vault,
            open_provider=open_provider,
            run_id=run_id,
            liveness=liveness,
        )
        try:
            with clinic_session(context, clinic) as session:
                session.log_in()
                description = described(engine, clinic, session)
        except PimsError as error:
            failure = error
    with transaction(engine) as connection:
        return LoginCheck(credential_status(connection, clinic), failure, description)
