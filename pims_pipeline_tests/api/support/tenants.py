"""Clinics with syncs, cases and keys of every kind, and an API that serves them.

For tests of the API from outside. Each clinic's rows hold strings of their own, its traces: no
response to another clinic may contain one.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import Connection, Engine, update

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.domain import api_keys
from pims_pipeline.domain.api_keys import PERMISSIONS, hash_of, new_key
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.api_keys import create_api_key
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline.store.tables.access import clinic_api_keys
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline_tests.adoption.shared_database import shared_template
from pims_pipeline_tests.api.support.busy_dagster import BusyDagster
from pims_pipeline_tests.api.support.clinic_history import AGE, ClinicHistory
from pims_pipeline_tests.api.support.fake_dagster import FakeDagster
from pims_pipeline_tests.databases import database_copied_from, in_our_schema

MAPLE, OAK, PINE = "maple-street", "oak-lane", "pine-hill"
"""Slugs; Pine Hill is deactivated."""
PAGES = "https://dagster.example"

ACTIVE, DISABLED, EXPIRED = "active", "disabled", "expired"

_CHECKSUM = 6
"""Characters at the end of a key."""


def lacking(permission: str) -> str:
    """The name of a clinic's key that permits everything else."""
    return f"lacking {permission}"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A clinic.

    Attributes:
        syncs: By status or origin.
        keys: Their texts, by state.
        traces: Strings that are only in the rows of this clinic.
        secrets: Strings of its rows that no response may contain.
    """

    clinic: Clinic
    syncs: Mapping[str, UUID]
    case_id: UUID
    keys: Mapping[str, str]
    traces: frozenset[str]
    secrets: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServedClinics:
    """Clinics and the API that serves them.

    Attributes:
        owner: Connects as the owner of the tables.
        app: Works as the API's role.
        dagster: Knows the clinics' runs.
    """

    owner: Engine
    app: FastAPI
    dagster: FakeDagster
    tenants: Mapping[str, Tenant]

    @property
    def secrets(self) -> frozenset[str]:
        """What no response may contain: secrets, and addresses of the database and Dagster."""
        url = self.owner.url
        places = (url.host, url.query.get("host"), url.database, self.dagster.url)
        secrets = (each.secrets for each in self.tenants.values())
        return frozenset().union(*secrets, (str(place) for place in places if place))


@contextmanager
def serve_clinics(server_url: str, *, is_busy: bool = False) -> Iterator[ServedClinics]:
    """Maple Street, Oak Lane and Pine Hill, over a database of their own.

    Args:
        server_url: The test run's server.
        is_busy: Whether runs end at once, rather than stay queued.
    """
    with (
        database_copied_from(shared_template(server_url), in_our_schema(server_url)) as url,
        _engine_on(url) as owner,
        _engine_on(let_api_log_in(owner)) as api,
        BusyDagster(owner) if is_busy else FakeDagster() as dagster,
        closing(DagsterClient(dagster.url)) as client,
    ):
        with transaction(owner) as connection:
            tenants = {slug: _settle(connection, dagster, slug) for slug in (MAPLE, OAK, PINE)}
            closed = update(clinics).where(clinics.c.slug == PINE)
            connection.execute(closed.values(is_active=False))
        context = ApiContext(
            engine=api,
            dagster=client,
            dagster_ui_url=PAGES,
            partition_start=date(2025, 1, 1),
            requests_per_minute=1_000_000,
        )
        yield ServedClinics(owner, create_app(context), dagster, tenants)


@contextmanager
def _engine_on(url: str) -> Iterator[Engine]:
    """An engine for as long as the block runs."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


def _settle(connection: Connection, dagster: FakeDagster, slug: str) -> Tenant:
    name = slug.replace("-", "")
    clinic = add_clinic(
        connection,
        slug=slug,
        name=f"{name} veterinary",
        timezone="America/New_York",
        provider_type="idexx_neo",
        provider_base_url=f"https://{name}.example",
    )
    keys, key_ids = _add_keys(connection, clinic)
    history = ClinicHistory(connection, dagster, clinic, key_ids[ACTIVE])
    history.add_syncs()
    history.add_case()
    history.add_hidden_rows()
    return Tenant(
        clinic=clinic,
        syncs=history.syncs,
        case_id=history.case_id,
        keys=keys,
        traces=frozenset({slug, name, *map(str, (clinic.id, *key_ids.values(), *history.ids))}),
        secrets=frozenset(
            {f"sealed{name}", *keys.values(), *(hash_of(key) for key in keys.values())}
        ),
    )


def _add_keys(connection: Connection, clinic: Clinic) -> tuple[dict[str, str], dict[str, UUID]]:
    """Return the texts and the ids of the keys, by state."""
    permitted: dict[str, tuple[str, ...]] = dict.fromkeys((ACTIVE, DISABLED, EXPIRED), ())
    for wanted in PERMISSIONS:
        permitted[lacking(wanted)] = tuple(each for each in PERMISSIONS if each != wanted)
    made = {
        name: create_api_key(
            connection,
            clinic,
            name=f"{clinic.slug}: {name}",
            permissions=permissions,
            expires_at=datetime.now(UTC) - AGE if name == EXPIRED else None,
        )
        for name, permissions in permitted.items()
    }
    disable = update(clinic_api_keys).where(clinic_api_keys.c.id == made[DISABLED].id)
    connection.execute(disable.values(is_active=False))
    return (
        {name: key.text for name, key in made.items()},
        {name: key.id for name, key in made.items()},
    )


def forged(key: str) -> str:
    """Return a well-formed key with the same prefix and another secret."""
    checked = f"{key.partition('_')[0]}_{new_key().partition('_')[2]}"[:-_CHECKSUM]
    return checked + api_keys._checksum(checked)
