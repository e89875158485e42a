"""Settings of the role or the database change nothing of a sync, nor of Dagster's storage."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from pims_pipeline.orchestration.storage.pooled import PooledPostgresStorage
from pims_pipeline.store.dagster.connections import keeping_engine
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema
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
    "lock_timeout": "1ms",
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


OWNERS = {
    "database": "ALTER DATABASE {}",
    "role": "ALTER ROLE CURRENT_USER IN DATABASE {}",
}
"""Who may have settings; those of a role win over those of a database."""


def _apply(url: str, owner: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        statement = sql.SQL(f"{owner} SET {{}} = {{}}")
        for setting, value in ODD.items():
            values = sql.SQL(", ").join(map(sql.Literal, value.split(", ")))
            connection.execute(statement.format(name, sql.Identifier(setting), values))
        if connection.info.server_version >= 170_000:
            limit = (sql.Identifier("transaction_timeout"), sql.Literal("1s"))
            connection.execute(statement.format(name, *limit))


@pytest.fixture(params=OWNERS)
def odd(bench: Bench, database_url: str, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The bench, with connections that start with the odd settings."""
    owner = OWNERS[request.param]
    _apply(database_url, owner)
    bench.engine.dispose()
    # Without the test's own search path.
    with psycopg.connect(database_url, autocommit=True, options="") as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("pg_temp, nowhere",)
    yield bench
    # The cleanup needs the default settings.
    name = sql.Identifier(str(bench.engine.url.database))
    reset = sql.SQL(f"{owner} RESET ALL")
    administer(database_url, reset.format(name))


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
    ensure_dagster_schema(odd.engine)
    url = dagster_storage_url(database_url)
    storage = PooledPostgresStorage(url)
    with keeping_engine(url).connect() as connection:
        seen = {
            name: connection.scalar(text("SELECT current_setting(:name)"), {"name": name})
            for name in ODD
        }
    assert {name: value for name, value in seen.items() if value == ODD[name]} == {
        # psycopg2 quotes for the first; the others concern messages alone.
        "standard_conforming_strings": "off",
        "escape_string_warning": "off",
        "lc_messages": "C",
        "application_name": "another",
    }
    assert seen["search_path"] == '"dagster"'
    storage.event_log_storage.add_dynamic_partitions("clinics", [r"Zoë's \ 🐕"])
    assert storage.event_log_storage.get_dynamic_partitions("clinics") == [r"Zoë's \ 🐕"]
    with odd.engine.connect() as connection:
        stored = text("SELECT partition FROM dagster.dynamic_partitions")
        assert connection.scalars(stored).all() == [r"Zoë's \ 🐕"]


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
