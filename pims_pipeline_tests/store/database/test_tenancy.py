"""How the API connects to the database, and which connections it refuses."""

import secrets
import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, make_url, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import all_clinics
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.errors import DatabaseUnavailable
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.database.revision import check_migrated
from pims_pipeline.store.database.tenancy import (
    WrongApiRole,
    api_url,
    check_api_role,
    let_api_log_in,
)
from pims_pipeline_tests.databases import with_options
from pims_pipeline_tests.store.database.test_rights import wait_until
from pims_pipeline_tests.store.embedded.servers import own_server

RoleMaker = Callable[[str], str]


@pytest.fixture
def new_role(engine: Engine) -> Iterator[RoleMaker]:
    """Makes logins with the attributes given, which end with the test."""
    made: list[str] = []

    def make(attributes: str) -> str:
        name = f"role_{secrets.token_hex(6)}"
        with transaction(engine) as connection:
            connection.execute(text(f"CREATE ROLE {name} LOGIN {attributes}"))
        made.append(name)
        return name

    yield make
    with transaction(engine) as connection:
        for name in made:
            connection.execute(text(f"REASSIGN OWNED BY {name} TO CURRENT_USER"))
            connection.execute(text(f"DROP OWNED BY {name}"))
            connection.execute(text(f"DROP ROLE {name}"))


def _as_login(url: str, name: str, options: str = "") -> Engine:
    parsed = make_url(with_options(url, options)).set(username=name)
    return create_engine(parsed.render_as_string(hide_password=False), pool_size=1)


def _refusal(engine: Engine) -> str:
    with pytest.raises(WrongApiRole) as caught:
        check_api_role(engine)
    engine.dispose()
    return str(caught.value)


def test_the_embedded_databases_own_login_of_the_api_is_accepted(
    engine: Engine, database_url: str
) -> None:
    url = let_api_log_in(engine)
    assert url == let_api_log_in(engine) == api_url(database_url)
    api = create_engine(url)
    check_migrated(api)
    check_api_role(api)
    api.dispose()


def test_the_apis_address_is_the_owners_with_another_user_and_no_password() -> None:
    owners = "postgres://owner:secret@localhost:5433/pims?sslrootcert=/some/where%20else"
    assert api_url(owners) == (
        "postgresql://pims_api@localhost:5433/pims?sslrootcert=/some/where%20else"
    )
    sockets = "postgres://owner:secret@/pims?host=/some/where%20else"
    assert api_url(sockets) == "postgresql://pims_api@/pims?host=/some/where%20else"


def test_a_login_that_has_the_apis_rights_is_accepted(
    database_url: str, new_role: RoleMaker
) -> None:
    api = _as_login(database_url, new_role("IN ROLE pims_api"))
    check_api_role(api)
    api.dispose()


def test_a_superuser_is_refused_with_the_remedy(engine: Engine) -> None:
    assert _refusal(engine) == (
        "the API may not work as 'postgres': that role is, or may become, a superuser; "
        "give it a login of its own (CREATE ROLE pims_api_login LOGIN PASSWORD '…' "
        "IN ROLE pims_api); PIMS_API_DATABASE_URL says what the API connects as"
    )


def test_a_superuser_who_gave_up_rights_for_now_is_refused(database_url: str) -> None:
    disguised = _as_login(database_url, "postgres", "-c role=pims_api")
    assert "'postgres': that role is, or may become, a superuser" in _refusal(disguised)


def test_a_login_that_bypasses_row_level_security_or_may_come_to_is_refused(
    database_url: str, new_role: RoleMaker
) -> None:
    free = new_role("IN ROLE pims_api BYPASSRLS")
    for name in (free, new_role(f"IN ROLE pims_api, {free} NOINHERIT")):
        refusal = _refusal(_as_login(database_url, name))
        assert "bypasses row-level security, or may come to" in refusal


def test_the_owner_of_a_table_and_its_members_are_refused(
    engine: Engine, database_url: str, new_role: RoleMaker
) -> None:
    owner = new_role("IN ROLE pims_api")
    with transaction(engine) as connection:
        connection.execute(text(f"ALTER TABLE cases OWNER TO {owner}"))
    for name in (owner, new_role(f"IN ROLE {owner}")):
        assert "owns tables, or may become their owner" in _refusal(_as_login(database_url, name))


def test_a_login_that_reaches_secrets_is_refused(
    engine: Engine, database_url: str, new_role: RoleMaker
) -> None:
    for right in (
        "SELECT ON pims_sessions",
        "SELECT (key_hash) ON clinic_api_keys",
        "UPDATE ON pims_credentials",
        "DELETE ON pims_credentials",
        "pims_service",
        "pg_read_all_data",
    ):
        name = new_role("IN ROLE pims_api")
        with transaction(engine) as connection:
            connection.execute(text(f"GRANT {right} TO {name}"))
        assert "reaches stored secrets" in _refusal(_as_login(database_url, name)), right


def test_a_login_without_the_apis_rights_is_refused(database_url: str, new_role: RoleMaker) -> None:
    refusal = _refusal(_as_login(database_url, new_role("")))
    assert "has not the rights of pims_api" in refusal


def test_a_table_without_row_level_security_is_noticed(
    engine: Engine, database_url: str, new_role: RoleMaker
) -> None:
    name = new_role("IN ROLE pims_api")
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE cases DISABLE ROW LEVEL SECURITY"))
    refusal = _refusal(_as_login(database_url, name))
    assert "finds tables without row-level security" in refusal
    assert "SELECT pims.pims_secure_tables()" in refusal
    with transaction(engine) as connection:
        connection.execute(text("SELECT pims_secure_tables()"))
    api = _as_login(database_url, name)
    check_api_role(api)
    api.dispose()


def _visible(engine: Engine) -> list[str]:
    with transaction(engine) as connection:
        return [each.slug for each in all_clinics(connection)]


def test_a_new_owner_of_database_and_tables_sees_all_rows_at_once(
    engine: Engine, database_url: str, clinic: Clinic, new_role: RoleMaker
) -> None:
    name = new_role("")
    with transaction(engine) as connection:
        connection.execute(text(f"ALTER DATABASE {engine.url.database} OWNER TO {name}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA pims TO {name}"))
        connection.execute(text(f"ALTER TABLE clinics OWNER TO {name}"))
    owner = _as_login(database_url, name)
    assert _visible(owner) == [clinic.slug]
    owner.dispose()


def test_a_new_owner_of_the_tables_alone_sees_all_rows_once_they_are_secured_again(
    engine: Engine, database_url: str, clinic: Clinic, new_role: RoleMaker
) -> None:
    name = new_role("")
    with transaction(engine) as connection:
        connection.execute(text(f"GRANT USAGE ON SCHEMA pims TO {name}"))
        connection.execute(text(f"ALTER TABLE clinics OWNER TO {name}"))
    owner = _as_login(database_url, name)
    assert _visible(owner) == []
    with transaction(engine) as connection:
        connection.execute(text("SELECT pims_secure_tables()"))
    assert _visible(owner) == [clinic.slug]
    owner.dispose()


def test_a_database_that_is_away_is_named_so() -> None:
    engine = create_engine("postgresql://pims_api@localhost:1/pims")
    with pytest.raises(DatabaseUnavailable):
        check_api_role(engine)
    engine.dispose()


@pytest.fixture
def fresh_server() -> Iterator[str]:
    """The address of a server on which the API's role may not log in yet."""
    with own_server() as url:
        yield url


def test_processes_that_let_the_api_log_in_at_once_queue(fresh_server: str) -> None:
    first = create_engine(fresh_server)
    migrate(first)
    # Advisory locks do not exclude sessions in another database of the server.
    other = create_engine(first.url.set(database="postgres").render_as_string(hide_password=False))
    api = create_engine(api_url(fresh_server))
    with pytest.raises(DatabaseUnavailable, match="not permitted to log in"):
        check_api_role(api)

    urls: list[str] = []
    second = threading.Thread(target=lambda: urls.append(let_api_log_in(other)))
    with transaction(first) as connection:
        # As far as the first process is before it commits.
        connection.execute(text("ALTER ROLE pims_api LOGIN"))
        second.start()
        wait_until(lambda: _somebody_waits(first))
    second.join()
    assert urls == [api_url(other.url.render_as_string(hide_password=False))]
    check_api_role(api)
    for engine in (first, other, api):
        engine.dispose()


def _somebody_waits(engine: Engine) -> bool:
    with engine.connect() as connection:
        waiting = connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    return bool(waiting)
