"""Settings of the role or the database change nothing of a sync."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, text

from pims_pipeline.store.dagster.schema import dagster_storage_url
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.databases import administer
from pims_pipeline_tests.sync.bench import DAY, Bench, local

ODD = {
    "DateStyle": "SQL, DMY",
    "TimeZone": "Asia/Kathmandu",
    "IntervalStyle": "sql_standard",
    "client_encoding": "LATIN1",
    "search_path": "pg_temp, nowhere",
    "row_security": "off",
    "statement_timeout": "5ms",
    "idle_in_transaction_session_timeout": "5ms",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "lc_messages": "C",
    "application_name": "another",
}
"""``standard_conforming_strings`` is always on in later versions, which refuse to switch it off."""


def _apply(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
        for setting, value in ODD.items():
            values = sql.SQL(", ").join(map(sql.Literal, value.split(", ")))
            connection.execute(statement.format(name, sql.Identifier(setting), values))
        if connection.info.server_version >= 170_000:
            statement = sql.SQL("ALTER DATABASE {} SET transaction_timeout = '1s'")
            connection.execute(statement.format(name))


@pytest.fixture
def odd(bench: Bench, database_url: str) -> Iterator[Bench]:
    """The bench, with connections that start with the odd settings."""
    _apply(database_url)
    bench.engine.dispose()
    # Without the test's own search path.
    with psycopg.connect(database_url, autocommit=True, options="") as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("pg_temp, nowhere",)
    yield bench
    # The cleanup needs the default settings.
    name = sql.Identifier(str(bench.engine.url.database))
    administer(database_url, sql.SQL("ALTER DATABASE {} RESET ALL").format(name))


def _cases(bench: Bench) -> list[tuple[object, ...]]:
    return [
        (row.pims_id, row.patient_name, row.scheduled_date, row.status, row.metadata)
        for row in bench.rows("SELECT * FROM cases ORDER BY pims_id")
    ]


def _syncs(bench: Bench) -> list[tuple[object, ...]]:
    bench.vendor.book("1", local(DAY, 9), status="Confirmed")
    bench.vendor.book("2", local(DAY - timedelta(days=1), 23))
    bench.inbound()
    bench.enrich()
    bench.reconcile()
    return _cases(bench)


def test_odd_settings_of_the_database_change_nothing(odd: Bench) -> None:
    cases = _syncs(odd)
    assert [case[:1] for case in cases] == [("1",), ("2",)]
    before = odd.everything()
    assert odd.inbound().counts.unchanged == 2
    assert odd.everything() == before
    with transaction(odd.engine) as connection:
        seen = connection.execute(
            text(
                "SELECT current_setting('DateStyle'), current_setting('search_path'), "
                "current_setting('client_encoding'), current_setting('transaction_read_only'), "
                "current_setting('transaction_isolation'), 'Zoë 🐕', now()::text LIKE '%+00'"
            )
        ).one()
    assert tuple(seen) == (
        "ISO, MDY",
        "pims, pg_temp",
        "UTF8",
        "off",
        "read committed",
        "Zoë 🐕",
        True,
    )


def test_odd_settings_do_not_reach_dagsters_storage_either(odd: Bench, database_url: str) -> None:
    del odd
    engine = create_engine(dagster_storage_url(database_url))
    with engine.connect() as connection:
        seen = connection.exec_driver_sql(
            "SELECT current_setting('DateStyle'), current_setting('search_path'), "
            "current_setting('TimeZone'), current_setting('transaction_read_only'), "
            "current_setting('transaction_isolation'), current_setting('statement_timeout')"
        ).one()
    engine.dispose()
    assert tuple(seen) == ("ISO, MDY", "dagster", "UTC", "off", "read committed", "5min")


def test_a_session_that_a_pooler_hands_to_others_keeps_their_settings(odd: Bench) -> None:
    with transaction(odd.engine) as connection:
        backend = connection.scalar(text("SELECT pg_backend_pid()"))
    with odd.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        seen = connection.execute(
            text(
                "SELECT pg_backend_pid(), current_setting('DateStyle'), "
                "current_setting('search_path')"
            )
        ).one()
    assert tuple(seen) == (backend, "SQL, DMY", "pg_temp, nowhere")
