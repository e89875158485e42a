"""The template of databases that hold a v4.0 installation of each layout beside our tables.

Creating their tables for each test would take longer than most tests.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import sql

from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline_tests.adoption.planted import SCHEMAS, V4Installation
from pims_pipeline_tests.databases import Databases, address_of, administer, copy_database

_NAME = "pims_with_v4"
_UNFINISHED = f"{_NAME}_unfinished"


def v4_template(server_url: str) -> str:
    """The name of the template; the first test process that asks for it makes it."""
    with psycopg.connect(address_of("postgres", server_url), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [_NAME])
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_NAME])
        if found.fetchone() is None:
            copy_database("pims", _UNFINISHED, server_url)
            for layout in Layout:
                with V4Installation(address_of(_UNFINISHED, server_url), layout, SCHEMAS[layout]):
                    pass
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            names = sql.Identifier(_UNFINISHED), sql.Identifier(_NAME)
            administer(server_url, rename.format(*names))
    return _NAME


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    """The databases of this test process, with the tables of both layouts."""
    with ExitStack() as stack:
        yield Databases(v4_template(server_url), server_url, stack)


@pytest.fixture(params=list(Layout))
def theirs(request: pytest.FixtureRequest, database_url: str) -> Iterator[V4Installation]:
    """The v4.0 installation of each layout in turn."""
    with V4Installation(database_url, request.param) as installation:
        yield installation


@pytest.fixture
def deployed(database_url: str) -> Iterator[V4Installation]:
    """The v4.0 installation of the deployed layout."""
    with V4Installation(database_url, Layout.DEPLOYED) as installation:
        yield installation
