"""What the service's role may do, and that the logs can only be added to, whoever asks."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import Engine, make_url, select, text
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.cases import CaseEvent, EventKind
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import SyncType
from pims_pipeline.store.audits import start_audit
from pims_pipeline.store.clinics import all_clinics, clinic_by_slug, deactivate_clinic
from pims_pipeline.store.credentials import put_credentials, read_credentials
from pims_pipeline.store.database import (
    _alembic_config,
    check_migrated,
    create_engine,
    migrate,
    transaction,
)
from pims_pipeline.store.embedded import start_embedded, stop_embedded
from pims_pipeline.store.events import record_events
from pims_pipeline.store.tables import metadata
from pims_pipeline.store.vault import Vault

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = date(2026, 3, 2)
LOGS = ("case_events", "credential_access_log")
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
TABLES = [*metadata.tables, "pims_alembic_version"]
CHANGES = [
    "UPDATE {} SET run_id = 'another'",
    "DELETE FROM {}",
    "TRUNCATE {}",
    "UPDATE {} SET run_id = 'another' WHERE false",
]


def _as_role(url: str, role: str, database: str | None = None) -> Engine:
    """An engine whose every connection works with the role's rights."""
    parsed = make_url(url).update_query_dict({"options": f"-c role={role}"})
    if database is not None:
        parsed = parsed.set(database=database)
    return create_engine(parsed.render_as_string(hide_password=False))


def _rights(engine: Engine) -> dict[str, set[str]]:
    """What the service's role may do to each of our tables."""
    with engine.connect() as connection:
        return {
            table: {
                right
                for right in RIGHTS
                if connection.scalar(
                    text("SELECT has_table_privilege('pims_service', :table, :right)"),
                    {"table": table, "right": right},
                )
            }
            for table in TABLES
        }


EXPECTED = {
    **{table: set(RIGHTS) - {"TRUNCATE"} for table in metadata.tables},
    **{log: {"SELECT", "INSERT"} for log in LOGS},
    "pims_alembic_version": {"SELECT"},
}


@pytest.fixture
def service(database_url: str) -> Iterator[Engine]:
    """An engine with the rights of the service's role."""
    engine = _as_role(database_url, "pims_service")
    yield engine
    engine.dispose()


def _told(engine: Engine, clinic: Clinic, vault: Vault) -> None:
    """One row in each log, written as the program writes them."""
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, {"username": "vet"})
        read_credentials(connection, vault, clinic, purpose="login", run_id="run-1")
        audit_id = start_audit(
            connection,
            clinic=clinic,
            sync_type=SyncType.INBOUND,
            window=DateRange(DAY, DAY),
            run_id="run-1",
            owner=1,
            now=NOW,
        )
        event = CaseEvent(
            case_id=uuid4(),
            kind=EventKind.CREATED,
            business_date=DAY,
            changes={"status": (None, "draft")},
            source_digest=None,
            occurred_at=NOW,
        )
        record_events(connection, clinic, [event], audit_id=audit_id, run_id="run-1")


def _runs(engine: Engine, log: str) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(metadata.tables[log].c.run_id)))


def test_the_service_may_change_every_table_but_only_add_to_the_logs(engine: Engine) -> None:
    assert _rights(engine) == EXPECTED


def test_the_service_works_with_its_own_rights(
    service: Engine, clinic: Clinic, vault: Vault
) -> None:
    check_migrated(service)
    _told(service, clinic, vault)
    assert [_runs(service, log) for log in LOGS] == [["run-1"], ["run-1"]]
    with transaction(service) as connection:
        deactivate_clinic(connection, clinic.slug)
        assert clinic_by_slug(connection, clinic.slug).is_active is False
        assert [each.slug for each in all_clinics(connection)] == [clinic.slug]


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("change", CHANGES)
def test_the_service_has_no_right_to_change_a_log(
    service: Engine, clinic: Clinic, vault: Vault, log: str, change: str
) -> None:
    _told(service, clinic, vault)
    with (
        pytest.raises(DBAPIError, match=f"permission denied for table {log}"),
        transaction(service) as connection,
    ):
        connection.execute(text(change.format(log)))
    assert _runs(service, log) == ["run-1"]


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("change", CHANGES)
def test_the_owner_is_refused_a_change_of_a_log(
    engine: Engine, clinic: Clinic, vault: Vault, log: str, change: str
) -> None:
    _told(engine, clinic, vault)
    with (
        pytest.raises(DBAPIError, match=f"{log} is append-only"),
        transaction(engine) as connection,
    ):
        connection.execute(text(change.format(log)))
    assert _runs(engine, log) == ["run-1"]


def test_granting_again_takes_back_what_was_given_by_hand(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(text("GRANT ALL ON case_events, credential_access_log TO pims_service"))
    assert _rights(engine) != EXPECTED
    with transaction(engine) as connection:
        connection.execute(text("SELECT pims_grant_service()"))
    assert _rights(engine) == EXPECTED


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[str]:
    """The address of a server that knows no role of ours yet."""
    yield start_embedded(tmp_path / "home")
    stop_embedded(tmp_path / "home")


def _administer(url: str, *statements: str) -> None:
    engine = create_engine(url, pool_size=1)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_without_the_right_to_create_roles_the_tables_are_made_and_the_remedy_is_told(
    own_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    _administer(own_server, "CREATE ROLE plain", "CREATE DATABASE plain OWNER plain")
    plain = _as_role(own_server, "plain", "plain")
    assert migrate(plain) == ["0001", "0002"]
    check_migrated(plain)
    assert "service_role_missing" in caplog.text
    assert "CREATE ROLE pims_service NOLOGIN; SELECT pims_grant_service();" in caplog.text

    _administer(own_server, "CREATE ROLE pims_service NOLOGIN")
    with transaction(plain) as connection:
        connection.execute(text("SELECT pims_grant_service()"))
    assert _rights(plain) == EXPECTED
    plain.dispose()


def test_downgrading_takes_the_rights_and_leaves_the_role_to_others(own_server: str) -> None:
    engine = create_engine(own_server)
    migrate(engine)
    assert _rights(engine) == EXPECTED
    config = _alembic_config()
    with transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    assert _rights(engine) == {table: set() for table in TABLES}
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT to_regrole('pims_service') IS NOT NULL"))
    assert migrate(engine) == ["0002"]
    assert _rights(engine) == EXPECTED
    engine.dispose()


def test_two_databases_of_one_server_may_create_the_role_at_once(own_server: str) -> None:
    _administer(own_server, "CREATE DATABASE other")
    first = create_engine(own_server)
    other = create_engine(
        make_url(own_server).set(database="other").render_as_string(hide_password=False)
    )
    applied: list[str] = []
    second = threading.Thread(target=lambda: applied.extend(migrate(other)))
    with transaction(first) as connection:
        # As far as the first database's migration is before it commits.
        connection.execute(text("CREATE ROLE pims_service NOLOGIN"))
        second.start()
        wait_until(lambda: _waits_for_another(first))
    second.join()
    assert applied == ["0001", "0002"]
    assert _rights(other) == EXPECTED
    first.dispose()
    other.dispose()


def _waits_for_another(engine: Engine) -> bool:
    with engine.connect() as connection:
        waiting = connection.scalar(
            text("SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted")
        )
    return bool(waiting)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that is bound to happen.

    Raises:
        TimeoutError: If it does not.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
