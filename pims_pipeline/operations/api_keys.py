"""API keys: creating, listing and revoking them.

The format of a key belongs in ``domain/api_keys.py``, its row in ``store/api_keys.py``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.deactivation import ClinicUse, check_use
from pims_pipeline.store.api_keys import (
    ApiKey,
    NewApiKey,
    create_api_key,
    list_api_keys,
    replace_api_key,
    revoke_api_key,
)
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key.

    Attributes:
        text: What the client sends. A secret that cannot be shown again.
    """

    key: ApiKey
    text: str = field(repr=False)


def clinic_for_key(engine: Engine, slug: str) -> Clinic:
    """The clinic, after a check that it may get a key.

    Raises:
        UnknownClinic: If the clinic does not exist.
        ClinicDeactivated: If it was deactivated.
    """
    with transaction(engine) as connection:
        return _active(connection, slug)


def create_key(
    engine: Engine,
    slug: str,
    *,
    name: str,
    permissions: Iterable[str] = (),
    expires_at: datetime | None = None,
    wait_seconds: int | None = None,
) -> CreatedKey:
    """Create a key for a clinic; see ``create_api_key`` for the arguments.

    Raises:
        UnknownClinic: If the clinic does not exist.
        ClinicDeactivated: If it was deactivated.
    """
    with transaction(engine) as connection:
        clinic = _active(connection, slug)
        made = create_api_key(
            connection,
            clinic,
            name=name,
            permissions=permissions,
            expires_at=expires_at,
            wait_seconds=wait_seconds,
        )
        [key] = [each for each in list_api_keys(connection, clinic) if each.id == made.id]
        return CreatedKey(key, made.text)


def replace_key(engine: Engine, slug: str, *, name: str) -> NewApiKey:
    """Create a key with all permissions; revoke the clinic's previous key of that name.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        return replace_api_key(connection, clinic_by_slug(connection, slug), name=name)


def find_keys(engine: Engine, slug: str | None = None) -> list[ApiKey]:
    """The keys of one clinic, or of all if ``slug`` is None, with the revoked ones.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        return list_api_keys(connection, clinic_by_slug(connection, slug) if slug else None)


def revoke_key(engine: Engine, key: str) -> ApiKey:
    """Revoke a key: the API refuses it from now on; see ``revoke_api_key`` for ``key``.

    Raises:
        UnknownApiKey: If there is no such key.
        AmbiguousPrefix: If several have that prefix.
    """
    with transaction(engine) as connection:
        return revoke_api_key(connection, key)


def _active(connection: Connection, slug: str) -> Clinic:
    clinic = clinic_by_slug(connection, slug)
    check_use(clinic, ClinicUse.MAKE_KEY)
    return clinic
