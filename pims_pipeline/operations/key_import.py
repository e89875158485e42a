"""Take over the API keys of a v4.0 installation, in one transaction.

What becomes of each key is decided in ``domain.adoption.api_keys``; keys are read in
``store.v4.api_keys`` and written in ``store.api_keys``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.adoption.api_keys import ClinicChoice, PlannedKey, plan_key_import
from pims_pipeline.store.api_keys import known_api_keys, lock_api_keys, write_planned_keys
from pims_pipeline.store.clinics import all_clinics, clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.v4.api_keys import v4_api_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenClinics:
    """The clinics of keys that name none, by their slugs; see ``ClinicChoice``."""

    for_all: str | None = None
    by_user: Mapping[str, str] = field(default_factory=dict)
    by_key: Mapping[str, str] = field(default_factory=dict)
    leaves_others: bool = False

    def found(self, connection: Connection) -> ClinicChoice:
        """The same with the ids of the clinics.

        Raises:
            UnknownClinic: If one of them does not exist.
        """

        def id_of(slug: str) -> UUID:
            return clinic_by_slug(connection, slug).id

        return ClinicChoice(
            for_all=None if self.for_all is None else id_of(self.for_all),
            by_user={user: id_of(slug) for user, slug in self.by_user.items()},
            by_key={key: id_of(slug) for key, slug in self.by_key.items()},
            leaves_others=self.leaves_others,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyImport:
    """What an import did, or would do.

    Attributes:
        keys: Theirs, oldest first.
        slugs: The clinics here, by id.
    """

    keys: tuple[PlannedKey, ...]
    slugs: Mapping[UUID, str]

    def slug_of(self, key: PlannedKey) -> str | None:
        """The clinic that the key belongs to here, if that is known."""
        return None if key.clinic_id is None else self.slugs.get(key.clinic_id)


def import_keys(
    engine: Engine,
    schema: str,
    chosen: ChosenClinics,
    *,
    wait_seconds: int | None,
    now: datetime,
    dry_run: bool = False,
) -> KeyImport:
    """Import the keys of the v4.0 installation in ``schema``; the same again changes nothing.

    Args:
        engine: On the database of cases, which has the installation's tables too.
        schema: Where those are.
        chosen: The clinics of keys that name none.
        wait_seconds: How long requests with the keys wait for their syncs.
        now: The present time, aware.
        dry_run: Whether nothing is written.

    Raises:
        UserFacingError: If nothing was imported, for the reason in its message.
    """
    with transaction(engine) as connection:
        if not dry_run:
            lock_api_keys(connection)
        slugs = {each.id: each.slug for each in all_clinics(connection)}
        planned = plan_key_import(
            v4_api_keys(connection, schema),
            known_api_keys(connection),
            chosen.found(connection),
            clinics=slugs,
            wait_seconds=wait_seconds,
            now=now,
        )
        if not dry_run:
            write_planned_keys(connection, planned)
    return KeyImport(keys=planned, slugs=slugs)
