"""An operator sees the clinics of the own roles, in pages and in the database, and no others."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, Executable, delete, insert, make_url, select, text, update
from sqlalchemy.exc import DBAPIError

from pims_pipeline.console.app import mount_console
from pims_pipeline.console.context import ConsoleContext
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRights, OperatorRole
from pims_pipeline.operations.operators.accounts import create_operator
from pims_pipeline.operations.operators.sign_in import hash_of_id, sign_in
from pims_pipeline.store.clinics import all_clinics
from pims_pipeline.store.database import tenancy
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.errors import DatabaseRefused
from pims_pipeline.store.database.tenancy import (
    as_operator,
    check_api_role,
    clinic_transaction,
    enter_clinic,
    has_console_role,
)
from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.console.browsers import PASSWORD, SignIn
from pims_pipeline_tests.console.conftest import browser_of
from pims_pipeline_tests.console.practice import DAY, add_day
from pims_pipeline_tests.console.runs import NotedRuns
from pims_pipeline_tests.store.database.test_row_level_security import CONSOLE_READS
from pims_pipeline_tests.store.tenant_rows import add_tenant

SECRETS = {"pims_credentials": "encrypted_data", "pims_sessions": "encrypted_data"}


@pytest.fixture
def view(engine: Engine, api_engine: Engine) -> Mapping[str, Engine]:
    """What an operator of ``cedar`` sees, and one of all clinics; each clinic has rows in all."""
    with transaction(engine) as connection:
        for slug in ("cedar", "maple"):
            add_tenant(connection, slug)
    create_operator(engine, "one", password=PASSWORD, role=OperatorRole.ADMIN, slugs=("cedar",))
    create_operator(engine, "all", password=PASSWORD, role=OperatorRole.VIEWER)
    opened = {
        name: sign_in(api_engine, name, PASSWORD, address="203.0.113.7").id
        for name in ("one", "all")
    }
    views = {name: as_operator(api_engine, hash_of_id(id_)) for name, id_ in opened.items()}
    return {**views, "ended": as_operator(api_engine, hash_of_id("ended"))}


def seen_in(engine: Engine, table: str) -> set[UUID]:
    column = metadata.tables[table].c["id" if table == "clinics" else "clinic_id"]
    with transaction(engine) as connection:
        return set(connection.scalars(select(column)))


def test_each_table_shows_the_clinics_of_the_sign_in_alone(
    engine: Engine, view: Mapping[str, Engine]
) -> None:
    with transaction(engine) as connection:
        ids = {each.slug: each.id for each in all_clinics(connection)}

    for table in sorted(CONSOLE_READS):
        found = {name: seen_in(seen, table) for name, seen in view.items()}
        assert (table, found) == (
            table,
            {"one": {ids["cedar"]}, "all": set(ids.values()), "ended": set()},
        )


def test_no_other_table_is_read_and_none_is_written(view: Mapping[str, Engine]) -> None:
    for name, table in metadata.tables.items():
        column = next(reversed(table.columns))
        statements: list[Executable] = [
            delete(table),
            update(table).values({column: column}),
            insert(table).values({column: None}),
        ]
        if name not in CONSOLE_READS:
            statements.append(select(table))
        if name in SECRETS:
            statements.append(select(table.c[SECRETS[name]]))
        for statement in statements:
            with (
                pytest.raises((DatabaseRefused, DBAPIError), match="permission denied"),
                transaction(view["all"]) as connection,
            ):
                connection.execute(statement)


def test_a_transaction_of_the_api_sees_its_one_clinic_as_before(
    engine: Engine, api_engine: Engine, view: Mapping[str, Engine]
) -> None:
    check_api_role(api_engine)
    assert len(seen_in(view["all"], "cases")) == 2
    # On the same connections, after the console's transactions.
    assert seen_in(api_engine, "cases") == set()
    with transaction(engine) as connection:
        [cedar] = [each.id for each in all_clinics(connection) if each.slug == "cedar"]
    with clinic_transaction(api_engine, cedar) as connection:
        assert set(connection.scalars(select(metadata.tables["cases"].c.clinic_id))) == {cedar}


@pytest.fixture
def plain_login(engine: Engine, database_url: str) -> Iterator[Engine]:
    """A login of the kind that an administrator makes for the API."""
    name = f"login_{uuid4().hex[:12]}"
    with transaction(engine) as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN IN ROLE pims_api"))
    url = make_url(database_url).set(username=name).render_as_string(hide_password=False)
    login = create_engine(url, pool_size=1)
    yield login
    login.dispose()
    with transaction(engine) as connection:
        connection.execute(text(f"DROP ROLE {name}"))


def test_a_login_of_the_api_sees_a_sign_ins_clinics_in_the_consoles_role_alone(
    engine: Engine, plain_login: Engine
) -> None:
    with transaction(engine) as connection:
        add_tenant(connection, "cedar")
    create_operator(engine, "all", password=PASSWORD, role=OperatorRole.VIEWER)
    opened = sign_in(plain_login, "all", PASSWORD, address="203.0.113.7")
    check_api_role(plain_login)
    assert has_console_role(plain_login)

    assert len(seen_in(as_operator(plain_login, hash_of_id(opened.id)), "cases")) == 1
    with transaction(plain_login) as connection:
        setting = text("SELECT set_config('pims.operator_sign_in', :hash, true)")
        connection.execute(setting, {"hash": hash_of_id(opened.id)})
        assert connection.scalars(select(metadata.tables["cases"].c.id)).all() == []


def test_pages_of_other_clinics_do_not_exist(
    engine: Engine, clinic: Clinic, other_clinic: Clinic, sign_in: SignIn
) -> None:
    with transaction(engine) as connection:
        own = add_day(connection, clinic)
        others = add_day(connection, other_clinic)
    ben = sign_in("ben", OperatorRole.ADMIN, clinic.slug)

    assert ben.get(f"/cases/{own}").status_code == 200
    for missing in (f"/cases/{others}", f"/cases/{uuid4()}", f"/clinics/{other_clinic.slug}"):
        assert ben.get(missing).status_code == 404
    assert other_clinic.slug not in ben.get("/").text
    assert other_clinic.slug not in ben.get(f"/cases/{others}").text
    with transaction(engine) as connection:
        seen = text("SELECT clinic_id FROM operator_log WHERE action = 'case_seen'")
        looked = connection.scalars(seen).all()
    assert looked == [clinic.id]


@pytest.mark.parametrize("role", list(OperatorRole))
def test_the_higher_of_two_roles_counts(role: OperatorRole) -> None:
    here, there = uuid4(), uuid4()
    rights = OperatorRights.of([(None, OperatorRole.VIEWER), (here, role)])

    assert rights.may(role, here)
    assert rights.may(OperatorRole.VIEWER, there)
    assert rights.may(OperatorRole.OPERATOR, there) is False
    assert rights.may(OperatorRole.ADMIN, here) is (role is OperatorRole.ADMIN)


def test_the_log_of_operators_is_only_ever_added_to(engine: Engine, sign_in: SignIn) -> None:
    sign_in("ben", OperatorRole.VIEWER)
    for change in ("UPDATE operator_log SET address = ''", "DELETE FROM operator_log"):
        with (
            pytest.raises((DatabaseRefused, DBAPIError), match="append-only"),
            transaction(engine) as connection,
        ):
            connection.execute(text(change))


def test_without_the_consoles_role_each_page_says_what_is_missing(
    api_engine: Engine, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert has_console_role(api_engine)
    ben = sign_in("ben", OperatorRole.VIEWER)
    ready = ConsoleContext(
        engine=api_engine,
        dagster_ui_url="http://dagster.example",
        runs=NotedRuns(),
        partition_start=DAY,
    )
    app = FastAPI()
    mount_console(app, replace(ready, has_role=False))
    lacking = browser_of(app)
    lacking.client.cookies = ben.client.cookies

    page = lacking.get("/")

    assert page.status_code == 503
    assert "console_role_missing" in page.text
    monkeypatch.setattr(tenancy, "CONSOLE_ROLE", "no_such_role")
    assert not has_console_role(api_engine)


def test_a_transaction_narrows_itself_to_one_clinic_and_never_widens(
    engine: Engine, view: Mapping[str, Engine]
) -> None:
    with transaction(engine) as connection:
        ids = {each.slug: each.id for each in all_clinics(connection)}

    def seen(name: str, slug: str) -> set[UUID]:
        with transaction(view[name]) as connection:
            enter_clinic(connection, ids[slug])
            return set(connection.scalars(select(metadata.tables["cases"].c.clinic_id)))

    assert seen("all", "maple") == {ids["maple"]}
    assert seen("one", "cedar") == {ids["cedar"]}
    assert seen("one", "maple") == set()
    assert seen("ended", "cedar") == set()
