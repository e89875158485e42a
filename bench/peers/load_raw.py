"""One load of rows that are made already, by SQL alone: the limit of the database.

COPY into temporary tables, then INSERT … ON CONFLICT over the three tables that a sync fills. It
decides nothing: the rows, events included, are those that a sync of the same appointments wrote.
Run by ``bench/peers.py``, with the directory of the rows as the only argument.
"""

import os
import sys
from pathlib import Path

import psycopg
from psycopg import sql
from timing import timed

KEYS = {
    "pims_appointments": ("clinic_id", "provider_type", "pims_id"),
    "cases": ("id",),
    "case_events": ("seq",),
}
"""The tables, with the columns that identify a row."""
_CHUNK = 1 << 20
_STAGE = "CREATE TEMPORARY TABLE {staged} (LIKE {table}) ON COMMIT DROP"
_UPSERT = """
INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {staged}
ON CONFLICT ({keys}) DO UPDATE SET ({columns}) = ROW({excluded})
WHERE {table} IS DISTINCT FROM excluded
"""
_APPEND = """
INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {staged} ON CONFLICT ({keys}) DO NOTHING
"""


def main() -> None:
    """Load the files of the three tables in one transaction."""
    directory = Path(sys.argv[1])
    with psycopg.connect(os.environ["PEER_DATABASE_URL"]) as connection:
        timed(lambda: load(connection, directory))


def load(connection: psycopg.Connection, directory: Path) -> None:
    """Load and commit."""
    for table in KEYS:
        staged = sql.Identifier(f"staged_{table}")
        words = {"table": sql.Identifier(table), "staged": staged}
        connection.execute(sql.SQL(_STAGE).format(**words))
        with (
            (directory / table).open("rb") as file,
            connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {staged} FROM STDIN").format(**words)) as copy,
        ):
            while chunk := file.read(_CHUNK):
                copy.write(chunk)
        connection.execute(upsert(connection, table, words))
    connection.commit()


def upsert(
    connection: psycopg.Connection, table: str, words: dict[str, sql.Identifier]
) -> sql.Composed:
    """The statement that moves the staged rows; events are appended only."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT * FROM {table} LIMIT 0").format(**words))
        columns = [each.name for each in cursor.description or ()]
    keys = sql.SQL(", ").join(map(sql.Identifier, KEYS[table]))
    if table == "case_events":
        return sql.SQL(_APPEND).format(keys=keys, **words)
    return sql.SQL(_UPSERT).format(
        keys=keys,
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        excluded=sql.SQL(", ").join(sql.Identifier("excluded", each) for each in columns),
        **words,
    )


if __name__ == "__main__":
    main()
