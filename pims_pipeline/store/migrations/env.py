"""Alembic's environment: runs the revisions on the connection it is handed.

``store/database/migrate.py`` hands one over, inside its own transaction. On the command line
(``alembic -x url=postgresql://… revision --autogenerate``) the URL is an argument. No
settings are read here.
"""

from typing import Literal

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.sql.schema import SchemaItem

from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.revision import VERSION_TABLE
from pims_pipeline.store.tables.all import metadata

_Kind = Literal["schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint"]

_INDEXES_OF_TEXT = frozenset({"ix_cases_names", "ix_cases_phone"})
"""Alembic finds differences in the text of their expressions where there are none. A test compares
them as the server has them."""


def _is_ours(
    _object: SchemaItem,
    name: str | None,
    kind: _Kind | str,
    reflected: bool,  # noqa: FBT001 - Alembic calls this, and by position
    compare_to: SchemaItem | None,
) -> bool:
    """Whether to compare an object: tables that others keep beside ours are theirs."""
    if kind == "index" and name in _INDEXES_OF_TEXT:
        return False
    return not (kind == "table" and reflected and compare_to is None)


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        include_object=_is_ours,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
        on_version_apply=context.config.attributes.get("on_version_apply", ()),
    )
    with context.begin_transaction():
        context.run_migrations()


def _main() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _run(connection)
        return
    url = context.get_x_argument(as_dictionary=True)["url"]
    engine = create_engine(str(url), pool_size=1)
    try:
        with engine.connect() as opened:
            _run(opened)
    finally:
        engine.dispose()


_main()
