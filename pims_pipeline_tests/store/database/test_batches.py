"""Rows in bulk: any number of them, whatever their text holds."""

import pytest
from sqlalchemy import Connection, Engine, event, text

from pims_pipeline.store.database.batches import ROWS_PER_STATEMENT, Columns, execute_batches
from pims_pipeline.store.database.engine import transaction

COLUMNS: Columns = {
    "position": ("integer", lambda row: row[0]),
    "word": ("text", lambda row: row[1]),
}
INSERT = "INSERT INTO written SELECT r.position, r.word FROM {rows}"


@pytest.fixture
def statements(engine: Engine) -> list[str]:
    """Every statement sent from here on."""
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, sql, *_: sent.append(sql))
    return sent


def _table(connection: Connection) -> None:
    connection.execute(text("CREATE TEMPORARY TABLE written (position integer, word text)"))


def _insert(connection: Connection, rows: list[tuple[int, str | None]]) -> int:
    return execute_batches(connection, INSERT, COLUMNS, rows, {})


def test_nothing_to_write_sends_no_statement(engine: Engine, statements: list[str]) -> None:
    with transaction(engine) as connection:
        _table(connection)
        statements.clear()
        touched = _insert(connection, [])
        assert (touched, statements) == (0, [])


@pytest.mark.parametrize(
    ("rows", "sent"), [(1, 1), (ROWS_PER_STATEMENT, 1), (ROWS_PER_STATEMENT + 1, 2)]
)
def test_rows_are_written_a_few_thousand_a_statement(
    engine: Engine, statements: list[str], rows: int, sent: int
) -> None:
    written: list[tuple[int, str | None]] = [(position, "a word") for position in range(rows)]
    with transaction(engine) as connection:
        _table(connection)
        statements.clear()
        touched = _insert(connection, written)
        assert (touched, len(statements)) == (rows, sent)
        stored = connection.execute(text("SELECT position, word FROM written ORDER BY position"))
        assert [tuple(row) for row in stored] == written


def test_text_arrives_as_it_is(engine: Engine) -> None:
    words = ['a "quoted" word', r"back\slash", "comma, {brace}", "", "NULL", None, "line\nbreak"]
    with transaction(engine) as connection:
        _table(connection)
        _insert(connection, list(enumerate(words)))
        stored = connection.execute(text("SELECT word FROM written ORDER BY position"))
        assert list(stored.scalars()) == words
