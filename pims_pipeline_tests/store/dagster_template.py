"""The template of databases that hold Dagster's tables beside ours.

Dagster creates its tables when it first opens a database, which takes longer than most tests that
need them.
"""

import tempfile
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pims_pipeline.orchestration.instance import dagster_environment, open_instance
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline_tests.databases import address_of, administer, copy_database

_NAME = "pims_with_dagster"
_UNFINISHED = f"{_NAME}_unfinished"
_END_SESSIONS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
"""Dagster's storage may keep a connection for the process's next instance."""


def dagster_template(server_url: str) -> str:
    """The name of the template; the first test process that asks for it makes it."""
    with psycopg.connect(address_of("postgres", server_url), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [_NAME])
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_NAME])
        if found.fetchone() is None:
            copy_database("pims", _UNFINISHED, server_url)
            _create_tables(address_of(_UNFINISHED, server_url))
            connection.execute(_END_SESSIONS, [_UNFINISHED])
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            names = sql.Identifier(_UNFINISHED), sql.Identifier(_NAME)
            administer(server_url, rename.format(*names))
    return _NAME


def _create_tables(url: str) -> None:
    engine = create_engine(url, pool_size=1)
    ensure_dagster_schema(engine)
    engine.dispose()
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as environment:
        home = Path(directory)
        for name in dagster_environment(home, ""):
            environment.setenv(name, "")  # so that its end restores it
        with open_instance(home, dagster_storage_url(url)) as instance:
            instance.get_runs_count()
            instance.all_asset_keys()
            instance.all_instigator_state()
