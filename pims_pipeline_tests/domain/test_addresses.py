"""Addresses of databases: which are understood, and which are refused with what to write."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.addresses.parameters import KNOWN_PARAMETERS
from pims_pipeline.domain.addresses.parsing import (
    UNCLEAR,
    BadDatabaseUrl,
    DatabaseAddress,
    in_schema,
    parse_database_address,
)

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:S3cr3t@h0rse@host/db",
        "postgresql://user:p@ss/w0rd#1@host/db",
        "postgresql://user:pa/ss@host/db",
        "postgresql://user:pa?ss@host/db",
        "postgresql://user:pa?a=b@host/db",
        "postgresql://user:pa#ss@host/db",
        "postgresql://user:pa ss@host/db",
        "postgresql://user:100%@host/db",
        "postgresql://user:%ff@host/db",
        "postgresql://user:%00@host/db",
        "postgresql://user:secret/db",
        "postgresql://user:secret@host:port/db",
        "postgresql://user:secret@ho$t/db",
        "postgresql://user:secret@[::1/db",
        "postgresql://user:secret@host/db/more",
        "postgresql://user:secret@host/db?secret",
        "postgresql://user:secret@host/db?sslmode=require&secret",
        "postgresql://user:secret@host/db#secret",
    ],
)
def test_an_ambiguous_address_is_refused_and_not_quoted(
    address: str,
) -> None:
    with pytest.raises(BadDatabaseUrl) as caught:
        parse_database_address(address)
    assert caught.value.problem == UNCLEAR


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("jdbc:postgresql://host/db?user=me&password=secret", "is written for JDBC; write postg"),
        ("mysql://host/db", "is not an address of PostgreSQL; write postgresql://"),
        ("secret", "is not an address of PostgreSQL; write postgresql://"),
        ("postgresql://", "names neither a host nor a database"),
        ("postgresql://host/db?host=/socket", "names hosts twice"),
        ("'postgresql://me:secret@host/db'", "is in quotes, which are no part of it"),
        ("DATABASE_URL=postgresql://me:secret@host/db", "begins with the name of a variable"),
        ("psql postgresql://me:secret@host/db", "begins with a command"),
        ("host=here user=me password=secret", "is a list of parameters; write postgresql://"),
        ("https://secret.supabase.co", "is a web address, not the database's"),
        ("prisma+postgres://accelerate/?api_key=secret", "is for Prisma's own service"),
        ("postgresql://postgres:[YOUR-PASSWORD]@host/db", "has a placeholder such as [YOUR-PASS"),
        ("postgresql://postgres.[REF]:secret@host/db", "has a placeholder such as [YOUR-PASS"),
        ("postgresql://postgres:<secret>@host/db", "write the password in its place, without"),
        ("postgresql://postgres:${SECRET}@host/db", "write the password in its place, without"),
        ("postgresql://postgres:****************@host/db", "or a masked password"),
        ("postgresql://host/db?connection_limit=1", "connection_limit; remove it; PIMS_DATABASE_P"),
        ("postgresql://host/db?pool_max_conns=4", "pool_max_conns; remove it; PIMS_DATABASE_POOL"),
        ("postgresql://host/db?conn_max_age=60", "conn_max_age; remove it; connections are opened"),
        ("postgresql://host/db?socketTimeout=60", "socketTimeout; remove it, or write tcp_user_t"),
        (
            "postgresql://host/db?statement_timeout=60",
            "statement_timeout; remove it; each trans",
        ),
        ("postgresql://host/db?timezone=secret", "timezone; remove it; each transaction sets it"),
        ("postgresql://host/db?targetServerType=primary", "write target_session_attrs=primary"),
        ("postgresql://host/db?sslaccept=strict", "sslaccept; write sslmode=verify-full, or"),
        ("postgresql://host/db?sslcert=ca.pem", "or sslrootcert for the certificate of the datab"),
        (
            "postgresql://host/db?sslrootcert=~/ca.pem",
            "sslrootcert that begins with ~; write the",
        ),
        (
            "postgresql://host/db?sslrootcert=system&sslmode=require",
            "write sslmode=verify-full wi",
        ),
        ("postgresql://host/db?pool_timeout=1", "pool_timeout; remove it"),
        ("postgresql://host/db?ssl=true", "ssl; write sslmode=require"),
        ("postgresql://host/db?sslmode=no-verify", "sslmode=no-verify; write sslmode=require, wh"),
        ("postgresql://host/db?sslmode=required", "unknown sslmode; write one of disable, allow"),
        ("postgresql://host/db?password=secret", "password; write it before the host"),
        ("postgresql://host/db?sslpassword=secret", "sslpassword; remove it"),
        ("postgresql://host/db?schema=a.b", "no schema's name in its parameter schema"),
        ("postgresql://host/db?client_encoding=latin1", "another client_encoding than utf8"),
        ("postgresql://host/db?sslmode=allow&sslmode=prefer", "the parameter sslmode twice"),
        (
            "postgresql://host/db?flavour=secret",
            "flavour, which is not one of PostgreSQL; remove it",
        ),
        ("postgresql://host/db?sslmod=secret", "write sslmode, or remove it"),
        ("postgresql://host/db?target_session_attrs=read-only", "write primary"),
        ("postgresql://user:secret@host:99999/db", "has no port from 1 to 65535"),
        ("postgresql://user:secret@host:/db", "has no port from 1 to 65535"),
        ("postgresql://user:secret@host/db;sslmode=require", "write '?' before the first param"),
        ("postgresql://user:secret@host/db&sslmode=require", "write '?' before the first param"),
        ("postgresql://host/db?schema=a&options=-csearch_path%3Db", "schema in its parameter opt"),
        ("postgresql://host/db?schema=a&search_path=b", "schema in its parameter search_path"),
        ("postgresql://host/db?connect_timeout=0", "connect_timeout; write a whole number from 1"),
        ("postgresql://host/db?connect_timeout=-1", "connect_timeout; write a whole number from"),
        ("postgresql://host/db?connect_timeout=99999", "connect_timeout; write a whole number fr"),
        ("postgresql://host/db?keepalives_idle=secret", "keepalives_idle; write a whole number"),
        ("postgresql://host/db?channel_binding=secret", "channel_binding; write one of disable"),
    ],
)
def test_what_means_nothing_here_is_refused_by_name_with_what_to_write(
    address: str, words: str
) -> None:
    with pytest.raises(BadDatabaseUrl) as caught:
        parse_database_address(address)
    assert words in caught.value.problem
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "schema", "parameters"),
    [
        ("postgres://host/db?pgbouncer=true&statement_cache_size=0", "public", {}),
        ("postgresql://host/db?prepareThreshold=0&supa=base-pooler.x", "public", {}),
        ("postgresql://host/db?schema=pims", "pims", {}),
        ("postgresql://host/db?currentSchema=pims", "pims", {}),
        ("postgresql://host/db?options=-csearch_path%3Dpims,public", "pims", {}),
        ("postgresql://host/db?options=-c%20search_path=pims", "pims", {}),
        (
            "postgresql://host/db?options=-cjit%3Doff%20--search_path=pims%20-cwork_mem=8MB",
            "pims",
            {"options": "-cjit=off -cwork_mem=8MB"},
        ),
        ("postgresql://host/db?client_encoding=UTF8", "public", {}),
        ("postgresql://host/db?charset=utf8&prepared_statements=false", "public", {}),
        ("postgresql+asyncpg://host/db?prepared_statement_cache_size=0", "public", {}),
        ("postgresql+psycopg2://host/db?binary_parameters=yes", "public", {}),
        ("postgresql://host/db?options=endpoint%3Dep-1", "public", {"options": "endpoint=ep-1"}),
        ("postgresql://host/db?options=reference%3Dr", "public", {"options": "reference=r"}),
        (
            "postgresql://host/db?sslrootcert=system&channel_binding=require",
            "public",
            {"sslrootcert": "system", "channel_binding": "require"},
        ),
        (
            "postgresql://host/db?sslcert=/a.pem&sslkey=/a.key",
            "public",
            {"sslcert": "/a.pem", "sslkey": "/a.key"},
        ),
        (
            "postgresql://host/db?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "public",
            {"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"},
        ),
    ],
)
def test_what_other_programs_write_is_understood(
    address: str, schema: str, parameters: dict[str, str]
) -> None:
    parsed = parse_database_address(address)
    assert (parsed.schema, dict(parsed.parameters)) == (schema, parameters)


@pytest.mark.parametrize(
    ("place", "hosts"),
    [
        ("db.example:6543", (("db.example", 6543),)),
        ("[::1]:5433", (("::1", 5433),)),
        ("first,second", (("first", None), ("second", None))),
        ("first,second:5433", (("first", 5432), ("second", 5433))),
    ],
)
def test_one_or_several_hosts_are_understood(
    place: str, hosts: tuple[tuple[str, int | None], ...]
) -> None:
    parsed = parse_database_address(f"postgresql://me@{place}/db")
    assert parsed.hosts == hosts
    assert parse_database_address(parsed.as_text("postgresql")) == parsed


def test_a_socket_is_understood() -> None:
    parsed = parse_database_address("postgresql://me@/db?host=/some/where%20else")
    assert parsed.hosts == (("/some/where else", None),)
    assert parse_database_address(parsed.as_text("postgresql")) == parsed


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:p%40ss@db.example:6543/db?sslmode=require",
        "postgresql://me@first:1,second:2/db?target_session_attrs=primary",
        "postgresql://me@/db?host=/some/where%20else",
        "postgresql://me@db.example/db?options=-cjit%3Doff",
    ],
)
def test_an_address_is_given_a_schema_and_is_otherwise_the_same(address: str) -> None:
    given = parse_database_address(address)

    found = parse_database_address(in_schema(address, "pims"))

    assert found == replace(given, named_schema="pims")
    assert parse_database_address(found.as_setting()) == found
    assert in_schema(address, None) == address
    assert "pims" not in found.as_text("postgresql")


def test_an_address_with_another_schema_is_refused_without_showing_it() -> None:
    with pytest.raises(BadDatabaseUrl, match="names another schema") as caught:
        in_schema("postgresql://me:secret@host/db?schema=one", "two")
    assert "secret" not in str(caught.value)


@given(user=WORDS, password=WORDS, database=WORDS)
def test_what_is_encoded_is_read_as_it_was_meant_whatever_it_holds(
    user: str, password: str, database: str
) -> None:
    address = DatabaseAddress(
        user=user,
        password=password,
        hosts=(("db.example", 5432),),
        database=database,
        named_schema=None,
        parameters={},
    )
    assert parse_database_address(address.as_text("postgresql")) == address
    assert repr(address) == repr(replace(address, password=None))


NAMES = st.sampled_from(sorted({*KNOWN_PARAMETERS, "flavour"}))
# No 0: the limits that messages name have one.
VALUES = st.text("QXZJK123456789", min_size=4, max_size=12)


def _outcome(parameters: list[tuple[str, str]]) -> Mapping[str, str] | BadDatabaseUrl:
    query = "&".join(f"{name}={value}" for name, value in parameters)
    try:
        return parse_database_address(f"postgresql://host/db?{query}").parameters
    except BadDatabaseUrl as error:
        return error


@given(parameters=st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=4))
def test_a_parameter_is_kept_ignored_or_refused_by_its_name_alone(
    parameters: list[tuple[str, str]],
) -> None:
    outcome = _outcome(parameters)
    if isinstance(outcome, BadDatabaseUrl):
        assert any(name in outcome.problem for name, _ in parameters)
        assert not any(value in outcome.problem for _, value in parameters)
    else:
        assert set(outcome.items()) <= set(parameters)
