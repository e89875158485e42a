"""Makes the tables of a v4.0 installation beside the pipeline's, in a schema of their own."""

from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql

Layout = Literal["deployed", "documented"]

SCHEMA = "v4"
_LAYOUTS = Path(__file__).parent / "layouts"


def create_installation(database_url: str, layout: Layout, schema: str = SCHEMA) -> None:
    """Create the tables of a layout, all of them empty."""
    text = (_LAYOUTS / f"{layout}.sql").read_text(encoding="utf-8")
    # A function of theirs names the schema in which they are deployed.
    statements = text.replace("search_path = public", f"search_path = {schema}")
    with psycopg.connect(database_url) as connection:
        named = sql.Identifier(schema)
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(named))
        connection.execute(sql.SQL("SET LOCAL search_path = {}").format(named))
        connection.execute(statements.encode())
