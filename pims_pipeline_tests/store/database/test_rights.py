"""What each role may do to each table; for every role the logs are append-only.

The tests of row-level security prove which rows a role sees.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import Engine, make_url, select, text
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.cases import CaseEvent, EventKind
from pims_pipeline.store.audits import start_audit
from pims_pipeline.store.cases.events import record_events
from pims_pipeline.store.clinics import add_clinic, all_clinics, clinic_by_slug, deactivate_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.errors import DatabaseRefused
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.database.migrate import alembic_config, migrate
from pims_pipeline.store.database.revision import check_migrated
from pims_pipeline.store.database.tenancy import WrongApiRole, check_api_role, clinic_transaction
from pims_pipeline.store.secrets.credentials import put_credentials, read_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.databases import with_options
from pims_pipeline_tests.store.database.revisions import REVISIONS
from pims_pipeline_tests.store.embedded.servers import own_server

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = date(2026, 3, 2)
LOGS = ("case_events", "credential_access_log")
LATER_LOGS = ("adoption_steps", "application_writes", "clinic_words", "operator_log")
LATER_TABLES = {
    "adopted_cases",
    "adoption_diffs",
    "adoption_steps",
    "adoptions",
    "application_writes",
    "vendor_shapes",
    "clinic_words",
    "webhook_deliveries",
    "webhooks",
    "operators",
    "operator_roles",
    "operator_sign_ins",
    "sign_in_attempts",
    "operator_log",
}
"""Made by revisions after the one that makes the roles."""
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
ROLES = ("pims_service", "pims_api")
CHANGES = [
    "UPDATE {} SET run_id = 'another'",
    "DELETE FROM {}",
    "TRUNCATE {}",
    "UPDATE {} SET run_id = 'another' WHERE false",
]


def _as_role(url: str, role: str, database: str | None = None) -> Engine:
    """An engine whose every connection works with the role's rights."""
    parsed = make_url(with_options(url, f"-c role={role}"))
    if database is not None:
        parsed = parsed.set(database=database)
    return create_engine(parsed.render_as_string(hide_password=False))


Rights = Mapping[str, Mapping[str, AbstractSet[str]]]
"""What each role may do to each table."""


def _rights(engine: Engine) -> Rights:
    with engine.connect() as connection:
        tables = [*metadata.tables, "pims_alembic_version"]
        there = connection.scalars(
            text(
                "SELECT relname FROM pg_class WHERE relname = ANY (:tables) "
                "AND relnamespace = current_schema()::regnamespace"
            ),
            {"tables": tables},
        ).all()
        held = connection.execute(
            text(
                """
                SELECT role, relname, privilege
                FROM pg_class, unnest(CAST(:roles AS text[])) AS role,
                    unnest(CAST(:rights AS text[])) AS privilege
                WHERE relname = ANY (:tables)
                    AND relnamespace = current_schema()::regnamespace
                    AND has_table_privilege(role, pg_class.oid, privilege)
                """
            ),
            {"roles": list(ROLES), "rights": list(RIGHTS), "tables": tables},
        ).all()
    return {
        role: {
            table: {right for who, what, right in held if (who, what) == (role, table)}
            for table in there
        }
        for role in ROLES
    }


_NOTHING: AbstractSet[str] = frozenset()
_CHANGED = frozenset(RIGHTS) - {"TRUNCATE"}
_ADDED = frozenset({"SELECT", "INSERT"})
EXPECTED: Rights = {
    "pims_service": {
        **dict.fromkeys(metadata.tables, _CHANGED),
        **dict.fromkeys((*LOGS, *LATER_LOGS), _ADDED),
        "pims_alembic_version": {"SELECT"},
    },
    "pims_api": {
        "adopted_cases": _NOTHING,
        "adoption_diffs": _NOTHING,
        "adoption_steps": _NOTHING,
        "adoptions": _NOTHING,
        "alerts": _NOTHING,
        "application_writes": _NOTHING,
        "case_events": {"SELECT"},
        "case_sync_audits": {"SELECT"},
        "cases": {"SELECT"},
        "clinic_api_keys": _NOTHING,
        "clinic_schedule_configs": {"SELECT"},
        "clinic_words": _NOTHING,
        "clinics": {"SELECT"},
        "credential_access_log": {"SELECT"},
        "idempotency_keys": _CHANGED,
        "login_leases": _NOTHING,
        "operator_log": _NOTHING,
        "operator_roles": _NOTHING,
        "operator_sign_ins": _NOTHING,
        "operators": _NOTHING,
        "pims_alembic_version": {"SELECT"},
        "pims_appointments": {"SELECT"},
        "pims_credentials": _NOTHING,
        "pims_sessions": _NOTHING,
        "reconciliation_holds": {"SELECT"},
        "run_leases": _NOTHING,
        "schedule_skips": _NOTHING,
        "sign_in_attempts": _NOTHING,
        "sync_failures": {"SELECT"},
        "sync_requests": _CHANGED,
        "vendor_shapes": _NOTHING,
        "webhook_deliveries": _NOTHING,
        "webhooks": _NOTHING,
    },
}


@pytest.fixture
def service(database_url: str) -> Iterator[Engine]:
    """An engine with the rights of the service's role."""
    engine = _as_role(database_url, "pims_service")
    yield engine
    engine.dispose()


def _record_everything(engine: Engine, clinic: Clinic, vault: Vault) -> None:
    """One row in each log, written as the program writes them."""
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, {"username": "vet"})
        read_credentials(connection, vault, clinic, purpose="login", run_id="run-1")
        audit_id = start_audit(
            connection,
            clinic=clinic,
            sync_type=Phase.INBOUND,
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
        lock_clinic(connection, clinic.id)
        record_events(connection, clinic, [event], audit_id=audit_id, run_id="run-1")


def _runs(engine: Engine, log: str) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(metadata.tables[log].c.run_id)))


def test_each_role_has_its_rights_and_no_others(engine: Engine) -> None:
    assert _rights(engine) == EXPECTED


def test_the_service_works_with_its_own_rights(
    service: Engine, clinic: Clinic, vault: Vault
) -> None:
    check_migrated(service)
    _record_everything(service, clinic, vault)
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
    _record_everything(service, clinic, vault)
    with (
        pytest.raises(DatabaseRefused, match=f"permission denied for table {log}.*pims_grant_serv"),
        transaction(service) as connection,
    ):
        connection.execute(text(change.format(log)))
    assert _runs(service, log) == ["run-1"]


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("change", CHANGES)
def test_the_owner_is_refused_a_change_of_a_log(
    engine: Engine, clinic: Clinic, vault: Vault, log: str, change: str
) -> None:
    _record_everything(engine, clinic, vault)
    with (
        pytest.raises(DBAPIError, match=f"{log} is append-only"),
        transaction(engine) as connection,
    ):
        connection.execute(text(change.format(log)))
    assert _runs(engine, log) == ["run-1"]


def test_granting_again_takes_back_what_was_given_by_hand(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA pims TO pims_service, pims_api"))
    everything = dict.fromkeys(EXPECTED["pims_api"], frozenset(RIGHTS))
    assert _rights(engine) == dict.fromkeys(ROLES, everything)
    with transaction(engine) as connection:
        connection.execute(text("SELECT pims_grant_service(), pims_grant_api()"))
    assert _rights(engine) == EXPECTED


@pytest.fixture
def fresh_server() -> Iterator[str]:
    """The address of a server that knows no role of ours yet."""
    with own_server() as url:
        yield url


def _administer(url: str, *statements: str) -> None:
    engine = create_engine(url, pool_size=1)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _login(url: str, role: str, database: str) -> str:
    """The address of a database, with a login as ``role``."""
    parsed = make_url(url).set(username=role, database=database)
    return parsed.render_as_string(hide_password=False)


def test_an_owner_who_may_create_no_roles_migrates_works_and_sees_the_remedy(
    fresh_server: str, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    _administer(fresh_server, "CREATE ROLE plain LOGIN", "CREATE DATABASE plain OWNER plain")
    plain = create_engine(_login(fresh_server, "plain", "plain"))
    assert migrate(plain) == REVISIONS
    check_migrated(plain)
    assert "service_role_missing" in caplog.text
    assert "CREATE ROLE pims_service NOLOGIN; SELECT pims_grant_service();" in caplog.text
    assert "api_role_missing" in caplog.text
    assert "CREATE ROLE pims_api NOLOGIN; SELECT pims_grant_api();" in caplog.text

    with transaction(plain) as connection:
        clinic = add_clinic(
            connection,
            slug="oak-lane",
            name="Oak Lane",
            timezone="Europe/London",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
    _record_everything(plain, clinic, vault)
    assert [_runs(plain, log) for log in LOGS] == [["run-1"], ["run-1"]]
    with pytest.raises(WrongApiRole, match="'plain': that role owns tables"):
        check_api_role(plain)

    _administer(fresh_server, *(f"CREATE ROLE {role} NOLOGIN" for role in ROLES))
    with transaction(plain) as connection:
        connection.execute(text("SELECT pims_grant_service(), pims_grant_api()"))
    assert _rights(plain) == EXPECTED
    _administer(fresh_server, "CREATE ROLE client LOGIN IN ROLE pims_api")
    client = create_engine(_login(fresh_server, "client", "plain"))
    check_api_role(client)
    with clinic_transaction(client, clinic.id) as connection:
        assert [each.slug for each in all_clinics(connection)] == [clinic.slug]
    client.dispose()
    plain.dispose()


def _downgrade(engine: Engine, revision: str) -> None:
    config = alembic_config()
    with transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def test_downgrading_takes_the_rights_and_leaves_the_roles_to_others(fresh_server: str) -> None:
    engine = create_engine(fresh_server)
    migrate(engine)
    assert _rights(engine) == EXPECTED
    _downgrade(engine, "0000e")
    expected = {
        role: {table: rights for table, rights in tables.items() if table not in LATER_TABLES}
        for role, tables in EXPECTED.items()
    }
    assert _rights(engine) == expected
    with transaction(engine) as connection:
        connection.execute(text("SELECT pims_grant_service(), pims_grant_api()"))
    assert _rights(engine) == expected
    _downgrade(engine, "0000d")
    assert not any(rights for tables in _rights(engine).values() for rights in tables.values())
    with engine.connect() as connection:
        for role in ROLES:
            assert connection.scalar(text("SELECT to_regrole(:role) IS NOT NULL"), {"role": role})
    assert migrate(engine) == [each for each in REVISIONS if each > "0000d"]
    assert _rights(engine) == EXPECTED
    engine.dispose()


@pytest.mark.parametrize("role", ROLES)
def test_two_databases_of_one_server_may_create_a_role_at_once(
    fresh_server: str, role: str
) -> None:
    _administer(fresh_server, "CREATE DATABASE other")
    first = create_engine(fresh_server)
    other = create_engine(
        make_url(fresh_server).set(database="other").render_as_string(hide_password=False)
    )
    applied: list[str] = []
    second = threading.Thread(target=lambda: applied.extend(migrate(other)))
    with transaction(first) as connection:
        # As far as the first database's migration is before it commits.
        connection.execute(text(f"CREATE ROLE {role} NOLOGIN"))
        second.start()
        wait_until(lambda: _waits_for_another(first))
    second.join()
    assert applied == REVISIONS
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
    """Wait for something that must happen.

    Raises:
        TimeoutError: If it does not.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
