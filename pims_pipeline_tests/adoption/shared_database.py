"""The template of databases that we share with a v4.0 installation.

``public`` holds its deployed layout with a few rows, and a schema of its own our tables. Most tests
get copies of it, so that all of them show that ours need nothing from ``public``. Tests of the
command line and of Dagster get ours in ``public``, as an installation without the setting has them.
"""

from pathlib import Path

import psycopg
from psycopg import sql

from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline_tests.databases import address_of, administer, copy_database, in_our_schema

LAYOUTS = Path(__file__).parent / "layouts"

_NAME = "beside_v4"
_UNFINISHED = f"{_NAME}_unfinished"


def shared_template(server_url: str) -> str:
    """The name of the template; the first test process that asks for it makes it."""
    with psycopg.connect(address_of("postgres", server_url), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [_NAME])
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_NAME])
        if found.fetchone() is None:
            copy_database("template0", _UNFINISHED, server_url)
            _fill(address_of(_UNFINISHED, server_url))
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            names = sql.Identifier(_UNFINISHED), sql.Identifier(_NAME)
            administer(server_url, rename.format(*names))
    return _NAME


def install_v4(url: str, layout: str = "deployed") -> None:
    """Create the tables of a v4.0 installation in ``public``, the deployed ones with rows."""
    with psycopg.connect(url, options="-csearch_path=public") as connection:
        for path in (LAYOUTS / f"{layout}.sql", LAYOUTS / f"{layout}_rows.sql"):
            if path.exists():
                connection.execute(path.read_bytes())


def _fill(url: str) -> None:
    install_v4(url)
    with psycopg.connect(url) as connection:
        # Publications have no schema: another layout of a test brings one of the same name.
        connection.execute("ALTER PUBLICATION supabase_realtime RENAME TO shared_realtime")
    engine = create_engine(in_our_schema(url), pool_size=1)
    migrate(engine)
    engine.dispose()
