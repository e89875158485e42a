"""``pims keys import``: keys of both layouts of a v4.0 installation."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, make_url, text

from pims_pipeline.domain.api_keys import hash_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.adoption.installations import SCHEMA, create_installation
from pims_pipeline_tests.cli.commands.keys.test_keys import register
from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything

ELM, OAK = "elm", "oak"
ANNA, BORIS = UUID(int=11), UUID(int=12)
KEYS = {name: f"live_key{name}-0123456789abcdef" for name in ("front", "sync", "old")}
CLEAR = "plain-text-key-0123456789"


def run(engine: Engine, statement: str, **values: object) -> None:
    with transaction(engine) as connection:
        connection.execute(text(statement), values)


@pytest.fixture
def clinics(pims: Pims, engine: Engine) -> dict[str, UUID]:
    """Two clinics here."""
    for slug in (ELM, OAK):
        register(pims, slug)
    with transaction(engine) as connection:
        return {
            row.slug: row.id for row in connection.execute(text("SELECT slug, id FROM clinics"))
        }


def add_user_key(engine: Engine, key: str, user: UUID, name: str, more: str = "") -> None:
    """A key of a user, in the deployed layout."""
    columns, values = more.partition("=")[::2] if more else ("", "")
    run(
        engine,
        f"INSERT INTO {SCHEMA}.clinic_api_keys (user_id, name, key_hash, key_prefix"  # noqa: S608 - the tests' own words
        f"{', ' + columns if columns else ''}) VALUES (:user, :name, :hash, :prefix"
        f"{', ' + values if values else ''})",
        user=user,
        name=name,
        hash=hash_of(key).upper(),
        prefix=key[:8],
    )


@pytest.fixture
def deployed(engine: Engine, database_url: str, clinics: dict[str, UUID]) -> dict[str, UUID]:
    """Keys of two users with the same prefix: one active, one expired, one revoked."""
    create_installation(database_url, "deployed")
    for user in (ANNA, BORIS):
        run(
            engine,
            f"INSERT INTO {SCHEMA}.users (id, email) VALUES (:id, :email)",  # noqa: S608 - a constant
            id=user,
            email=f"{user}@clinic.example",
        )
    add_user_key(engine, KEYS["front"], ANNA, "Front desk")
    add_user_key(engine, KEYS["sync"], BORIS, "Night sync", "expires_at='2025-01-01Z'")
    add_user_key(engine, KEYS["old"], BORIS, "Old", "is_active=false")
    return clinics


@pytest.fixture
def documented(engine: Engine, database_url: str, clinics: dict[str, UUID]) -> dict[str, UUID]:
    """A hashed key of one clinic, one in clear of the other, and one of a clinic not here."""
    create_installation(database_url, "documented")
    elsewhere = uuid4()
    for slug, each in {**clinics, "ash": elsewhere}.items():
        run(
            engine,
            f"INSERT INTO {SCHEMA}.clinics (id, name, slug) VALUES (:id, :slug, :slug)",  # noqa: S608 - a constant
            id=each,
            slug=slug,
        )
    rows: list[dict[str, Any]] = [
        {"clinic": clinics[ELM], "hash": hash_of(KEYS["front"]), "prefix": KEYS["front"][:12]},
        {"clinic": clinics[OAK], "clear": CLEAR},
        {"clinic": elsewhere, "hash": hash_of(KEYS["old"]), "prefix": KEYS["old"][:8]},
    ]
    for row in rows:
        run(
            engine,
            f"INSERT INTO {SCHEMA}.clinic_api_keys (clinic_id, api_key, key_prefix, key_hash, "  # noqa: S608 - a constant
            "permissions) VALUES (:clinic, :clear, :prefix, :hash, ARRAY['sync:*'])",
            **{"clear": None, "prefix": None, "hash": None, **row},
        )
    return clinics


def stored(engine: Engine) -> dict[str, tuple[Any, ...]]:
    """The keys here by name: clinic, prefix, permissions, whether active, wait."""
    statement = (
        "SELECT key.name, slug, key_prefix, permissions, key.is_active, wait_seconds "
        "FROM clinic_api_keys AS key JOIN clinics ON clinics.id = clinic_id"
    )
    with transaction(engine) as connection:
        return {row[0]: tuple(row[1:]) for row in connection.execute(text(statement))}


SYNCS = ["sync:inbound", "sync:cases", "sync:reconcile"]


@pytest.mark.usefixtures("deployed")
def test_keys_of_users_go_to_the_clinic_that_is_named_for_each(pims: Pims, engine: Engine) -> None:
    words = (f"--user={ANNA}={ELM}", f"--user={BORIS}={OAK}", "--wait=60")
    done = document(pims("keys", "import", f"--schema={SCHEMA}", *words, "--json"))

    assert (done["imported"], done["leftOut"], done["dryRun"]) == (3, 0, False)
    assert stored(engine) == {
        "Front desk": (ELM, "live_key", SYNCS, True, 60),
        "Night sync": (OAK, "live_key", SYNCS, True, 60),
        "Old": (OAK, "live_key", SYNCS, False, 60),
    }
    listed = document(pims("keys", "list", "--json"))["keys"]
    assert {each["name"]: each["state"] for each in listed} == {
        "Front desk": "active",
        "Night sync": "expired",
        "Old": "revoked",
    }


@pytest.mark.usefixtures("deployed")
def test_without_a_clinic_nothing_is_imported_and_the_keys_are_listed(
    pims: Pims, engine: Engine
) -> None:
    before = everything(engine)
    line = error_line(pims("keys", "import", f"--schema={SCHEMA}", f"--user={ANNA}={ELM}"))

    assert everything(engine) == before
    assert "'Night sync' (" in line
    assert f"user {BORIS}" in line
    assert "Front desk" not in line
    assert "--user USER=SLUG" in line


@pytest.mark.usefixtures("deployed")
def test_a_dry_run_shows_the_same_and_writes_nothing(pims: Pims, engine: Engine) -> None:
    before = everything(engine)
    words = ("keys", "import", f"--schema={SCHEMA}", f"--clinic={ELM}", "--json")
    tried = document(pims(*words, "--dry-run"))
    assert everything(engine) == before

    done = document(pims(*words))
    assert tried == {**done, "dryRun": True}


def theirs(engine: Engine) -> list[tuple[Any, ...]]:
    """The table of the installation."""
    with transaction(engine) as connection:
        query = f"SELECT * FROM {SCHEMA}.clinic_api_keys ORDER BY id"  # noqa: S608 - a constant
        return [tuple(row) for row in connection.execute(text(query))]


@pytest.mark.usefixtures("deployed")
def test_the_same_import_again_changes_nothing_and_another_wait_is_set(
    pims: Pims, engine: Engine
) -> None:
    words = ("keys", "import", f"--schema={SCHEMA}", f"--clinic={ELM}")
    installation = theirs(engine)
    assert pims(*words).exit_code == 0
    before = everything(engine)
    again = document(pims(*words, "--json"))
    unnamed = document(pims("keys", "import", f"--schema={SCHEMA}", "--json"))

    assert (again["unchanged"], unnamed["unchanged"]) == (3, 3)
    assert everything(engine) == before
    assert document(pims(*words, "--wait=30", "--json"))["updated"] == 3
    assert {row[-1] for row in stored(engine).values()} == {30}
    assert theirs(engine) == installation


@pytest.mark.usefixtures("deployed")
def test_a_key_revoked_here_is_not_made_valid_again(pims: Pims, engine: Engine) -> None:
    words = ("keys", "import", f"--schema={SCHEMA}", f"--clinic={ELM}")
    assert pims(*words).exit_code == 0
    assert pims("keys", "revoke", KEYS["front"]).exit_code == 0
    assert pims(*words).exit_code == 0

    assert stored(engine)["Front desk"][3] is False


@pytest.mark.usefixtures("deployed")
def test_of_keys_with_one_prefix_one_is_revoked_by_its_id(pims: Pims, engine: Engine) -> None:
    assert pims("keys", "import", f"--schema={SCHEMA}", f"--clinic={ELM}").exit_code == 0
    line = error_line(pims("keys", "revoke", "live_key"))
    ids = {each["name"]: each["id"] for each in document(pims("keys", "list", "--json"))["keys"]}

    assert "several API keys have that prefix" in line
    assert f"{ids['Front desk']} (Front desk, of elm)" in line
    assert pims("keys", "revoke", ids["Front desk"]).exit_code == 0
    assert [name for name, row in stored(engine).items() if row[3]] == ["Night sync"]


def test_keys_of_clinics_go_to_their_own_and_those_in_clear_are_to_be_replaced(
    pims: Pims, engine: Engine, documented: dict[str, UUID]
) -> None:
    assert documented.keys() == {ELM, OAK}
    result = pims("keys", "import", f"--schema={SCHEMA}", "--json")
    done = document(result)

    by_clinic = {each["clinic"]: each for each in done["keys"]}
    assert (by_clinic[ELM]["outcome"], by_clinic[ELM]["replace"]) == ("imported", False)
    assert (by_clinic[OAK]["outcome"], by_clinic[OAK]["replace"]) == ("imported", True)
    assert by_clinic[OAK]["prefix"] == CLEAR[:8]
    assert by_clinic[None]["outcome"] == "left_out"
    assert "is not here; adopt it first" in by_clinic[None]["reason"]
    with transaction(engine) as connection:
        hashes = set(connection.scalars(text("SELECT key_hash FROM clinic_api_keys")))
    assert hashes == {hash_of(KEYS["front"]), hash_of(CLEAR)}
    shown = result.output + pims("keys", "import", f"--schema={SCHEMA}").output
    assert "replace" in shown
    assert CLEAR not in shown
    assert hash_of(CLEAR) not in shown


@pytest.mark.usefixtures("documented")
def test_the_keys_of_one_clinic_can_be_imported_alone(pims: Pims, engine: Engine) -> None:
    done = document(pims("keys", "import", f"--schema={SCHEMA}", f"--clinic={OAK}", "--json"))

    assert [each["clinic"] for each in done["keys"]] == [OAK]
    assert {row[0] for row in stored(engine).values()} == {OAK}


@pytest.mark.usefixtures("deployed")
def test_a_failure_at_any_write_leaves_nothing(pims: Pims, engine: Engine) -> None:
    before = everything(engine)
    run(
        engine,
        "ALTER TABLE clinic_api_keys ADD CONSTRAINT fails CHECK (name <> 'Old') NOT VALID",
    )
    done = pims("keys", "import", f"--schema={SCHEMA}", f"--clinic={ELM}")

    assert done.exit_code == 1
    assert everything(engine) == before
    run(engine, "ALTER TABLE clinic_api_keys DROP CONSTRAINT fails")
    assert pims("keys", "import", f"--schema={SCHEMA}", f"--clinic={ELM}").exit_code == 0


def test_a_schema_without_such_a_table_or_with_our_own_is_refused(
    pims: Pims, engine: Engine
) -> None:
    run(engine, 'CREATE SCHEMA "odd:one"; CREATE TABLE "odd:one".clinic_api_keys (id uuid)')
    lines = [
        error_line(pims("keys", "import", *words))
        for words in ((), ("--schema=nowhere",), ("--schema=odd:one",))
    ]

    assert "is this pipeline's own" in lines[0]
    assert 'no table "nowhere".clinic_api_keys' in lines[1] or "no table nowhere" in lines[1]
    assert "is not that of a v4.0 installation" in lines[2]


@pytest.mark.usefixtures("deployed")
def test_a_role_that_may_not_read_every_key_is_refused_with_what_to_do(
    pims: Pims, engine: Engine, database_url: str
) -> None:
    role = f"reader_{uuid4().hex[:8]}"
    url = make_url(database_url).set(username=role).render_as_string(hide_password=False)
    run(engine, f"CREATE ROLE {role} LOGIN IN ROLE pims_service")
    before, lines = everything(engine), []
    try:
        for right in ("USAGE ON SCHEMA v4", "SELECT ON v4.clinic_api_keys", None):
            words = ("keys", "import", f"--schema={SCHEMA}", f"--clinic={ELM}")
            lines.append(error_line(pims(*words, PIMS_DATABASE_URL=url)))
            if right is not None:
                run(engine, f"GRANT {right} TO {role}")
        assert everything(engine) == before
    finally:
        run(engine, f"DROP OWNED BY {role}; DROP ROLE {role}")

    grants = (
        f'GRANT USAGE ON SCHEMA "v4" TO "{role}"; GRANT SELECT ON "v4".clinic_api_keys TO "{role}"'
    )
    assert grants in lines[0]
    assert grants in lines[1]
    assert "row-level security hides rows" in lines[2]


WRONG_OPTIONS = [
    (["--user=anna"], "--user must be written ID=SLUG"),
    (["--key==elm"], "--key must be written ID=SLUG"),
    (["--user=a=elm", "--user=a=oak"], "--user names two clinics for a"),
    (["--clinic=nowhere"], "unknown clinic 'nowhere'"),
    (["--user=unknown-one=elm"], "unknown-one"),
    (["--wait=0"], "is not in the range"),
]


@pytest.mark.usefixtures("deployed")
def test_wrong_options_import_nothing(pims: Pims, engine: Engine) -> None:
    before = everything(engine)
    for words, message in WRONG_OPTIONS:
        assert message in error_line(pims("keys", "import", f"--schema={SCHEMA}", *words))
    assert everything(engine) == before
