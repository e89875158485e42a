"""API keys in the store: operators make, list and revoke them; the API's role finds one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from pims_pipeline.domain.api_keys import MOST_CANDIDATES, hash_of, new_key, prefix_of
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store import api_keys
from pims_pipeline.store.api_keys import (
    AmbiguousPrefix,
    NewApiKey,
    StoredApiKey,
    UnknownApiKey,
    create_api_key,
    find_api_keys,
    list_api_keys,
    note_api_key_use,
    revoke_api_key,
)
from pims_pipeline.store.clinics import add_clinic, deactivate_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline.store.tables.access import clinic_api_keys

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def api(engine: Engine) -> Iterator[Engine]:
    """An engine that connects as the API does."""
    api = create_engine(let_api_log_in(engine), pool_size=1)
    yield api
    api.dispose()


@pytest.fixture
def key(engine: Engine, clinic: Clinic) -> NewApiKey:
    """A key of the clinic."""
    with transaction(engine) as connection:
        return create_api_key(
            connection, clinic, name="front desk", permissions=["read"], expires_at=NEW_YEAR
        )


def find_one(connection: Connection, start: str) -> StoredApiKey:
    """The only key that a text may be."""
    [found] = find_api_keys(connection, start)
    return found


def test_a_new_key_is_found_by_its_prefix_and_only_its_hash_is_kept(
    engine: Engine, api: Engine, clinic: Clinic, key: NewApiKey
) -> None:
    assert prefix_of(key.text) == key.prefix
    with transaction(api) as connection:
        found = find_one(connection, key.prefix)
    assert (found.id, found.clinic_id, found.clinic_is_active) == (key.id, clinic.id, True)
    assert found.key_hash == hash_of(key.text)
    assert (found.permissions, found.is_active) == (("read",), True)
    assert (found.expires_at, found.last_used_at) == (NEW_YEAR, None)
    with transaction(engine) as connection:
        stored = [str(value) for value in connection.execute(select(clinic_api_keys)).one()]
    assert [value for value in stored if key.text.partition("_")[2] in value] == []


def test_a_secret_shows_in_no_repr(api: Engine, key: NewApiKey) -> None:
    assert key.text not in repr(key)
    with transaction(api) as connection:
        assert hash_of(key.text) not in repr(find_api_keys(connection, key.prefix))


def add_imported(
    connection: Connection, clinic: Clinic, key: str, prefix: str, name: str = "imported"
) -> None:
    """A key as an import stores it: any text, a longer prefix, perhaps that of another key."""
    connection.execute(
        insert(clinic_api_keys).values(
            clinic_id=clinic.id, name=name, key_prefix=prefix, key_hash=hash_of(key)
        )
    )


def test_every_key_that_a_text_may_be_is_found(engine: Engine, api: Engine, clinic: Clinic) -> None:
    prefixes = ("live_key", "live_key", "live_key-", "live_key-abc")
    with transaction(engine) as connection:
        for number, prefix in enumerate(prefixes):
            add_imported(connection, clinic, f"live_key-abc{number}", prefix)
        add_imported(connection, clinic, "live_key-abd", "live_key-abd")
    with transaction(api) as connection:
        found = {
            start: sorted(each.key_hash for each in find_api_keys(connection, start))
            for start in ("live_key-abc", "live_key-ab", "live_key", "live_ke", "live_key-abc0")
        }
    hashes = [hash_of(f"live_key-abc{number}") for number in range(4)]
    assert found == {
        "live_key-abc": sorted(hashes),
        "live_key-ab": sorted(hashes[:3]),
        "live_key": sorted(hashes[:2]),
        "live_ke": [],
        "live_key-abc0": [],
    }


def test_one_text_is_compared_with_a_bounded_number_of_keys(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        for number in range(MOST_CANDIDATES + 1):
            add_imported(connection, clinic, f"key {number}", "live_key")
    with transaction(api) as connection:
        assert len(find_api_keys(connection, "live_key")) == MOST_CANDIDATES


def test_of_several_keys_none_decides_which_clinic_the_transaction_sees(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    seen = text("SELECT count(*) FROM clinics")
    with transaction(engine) as connection:
        add_imported(connection, clinic, "one key", "live_key")
    with transaction(api) as connection:
        [only] = find_api_keys(connection, "live_key", enters=True)
        assert (only.is_entered, connection.scalar(seen)) == (True, 1)
    with transaction(engine) as connection:
        add_imported(connection, clinic, "another key", "live_key")
    with transaction(api) as connection:
        both = find_api_keys(connection, "live_key", enters=True)
        assert ([each.is_entered for each in both], connection.scalar(seen)) == ([False] * 2, 0)


def test_a_key_is_stored_once_for_one_clinic(engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        add_imported(connection, clinic, "one key", "live_key")
    with pytest.raises(IntegrityError), transaction(engine) as connection:
        add_imported(connection, clinic, "one key", "other_ke")


@pytest.mark.parametrize("prefix", ["live_ke", "live_key-abcd"])
def test_a_prefix_that_is_never_looked_up_is_not_stored(
    engine: Engine, clinic: Clinic, prefix: str
) -> None:
    with pytest.raises(IntegrityError), transaction(engine) as connection:
        add_imported(connection, clinic, "one key", prefix)


def test_a_key_is_revoked_by_its_prefix_its_id_or_its_text(engine: Engine, clinic: Clinic) -> None:
    texts = ("live_key-0001", "live_key-0002", "0b6a3a1e-5f0e-4f7e-9f43-0f2f7a3f6f10")
    with transaction(engine) as connection:
        for each in texts:
            add_imported(connection, clinic, each, each[:8], name=each)
        listed = {each.name: each for each in list_api_keys(connection)}
        with pytest.raises(AmbiguousPrefix, match=str(listed[texts[0]].id)):
            revoke_api_key(connection, "live_key")
        revoked = [
            revoke_api_key(connection, each)
            for each in (str(listed[texts[0]].id), texts[1], texts[2])
        ]
        left = [each for each in list_api_keys(connection) if each.is_active]
    assert [each.name for each in revoked] == list(texts)
    assert left == []


def test_another_prefix_finds_nothing(api: Engine, key: NewApiKey) -> None:
    near = (key.prefix[:-1], f"{key.prefix[:-1]} ", f"0{key.prefix}", key.text)
    with transaction(api) as connection:
        for prefix in ("", "00000000", "%", "________", *near):
            assert find_api_keys(connection, prefix) == []


def test_a_key_without_permissions_is_stored_as_one_for_everything(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        key = create_api_key(connection, clinic, name="all")
    with transaction(api) as connection:
        found = find_one(connection, key.prefix)
    assert (found.permissions, found.expires_at) == (None, None)


def test_permissions_and_moments_that_cannot_be_are_refused(engine: Engine, clinic: Clinic) -> None:
    naive = NEW_YEAR.replace(tzinfo=None)
    with transaction(engine) as connection:
        with pytest.raises(ValueError, match="unknown permission 'write'"):
            create_api_key(connection, clinic, name="all", permissions=["write"])
        with pytest.raises(ValueError, match="no time zone"):
            create_api_key(connection, clinic, name="all", expires_at=naive)
        assert list_api_keys(connection) == []


def test_a_prefix_that_is_taken_is_not_given_again(
    engine: Engine, clinic: Clinic, key: NewApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = new_key()
    drawn = iter([f"{key.prefix}_{'0' * 49}", another])
    monkeypatch.setattr(api_keys, "new_key", lambda: next(drawn))
    with transaction(engine) as connection:
        assert create_api_key(connection, clinic, name="second").text == another
        kept = [each.prefix for each in list_api_keys(connection)]
    assert kept == [key.prefix, another[:8]]


def test_keys_are_listed_by_clinic_the_oldest_first_and_revoked_ones_too(
    engine: Engine, clinic: Clinic, key: NewApiKey
) -> None:
    with transaction(engine) as connection:
        elm = add_clinic(
            connection,
            slug="elm",
            name="Elm",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://elm.example",
        )
        elms = create_api_key(connection, elm, name="elm's")
    with transaction(engine) as connection:
        second = create_api_key(connection, clinic, name="second")
        revoke_api_key(connection, key.prefix)
        every, of_one = list_api_keys(connection), list_api_keys(connection, clinic)
    assert [(each.clinic, each.prefix) for each in every] == [
        ("elm", elms.prefix),
        ("maple-street", key.prefix),
        ("maple-street", second.prefix),
    ]
    assert of_one == every[1:]
    assert [(each.name, each.permissions, each.is_active) for each in of_one] == [
        ("front desk", ("read",), False),
        ("second", (), True),
    ]


def test_a_revoked_key_and_a_key_of_a_deactivated_clinic_are_found_as_such(
    engine: Engine, api: Engine, clinic: Clinic, key: NewApiKey
) -> None:
    with transaction(engine) as connection:
        revoke_api_key(connection, key.prefix)
        revoke_api_key(connection, key.prefix)
        deactivate_clinic(connection, clinic.slug)
    with transaction(api) as connection:
        found = find_one(connection, key.prefix)
    assert (found.is_active, found.clinic_is_active) == (False, False)


def test_revoking_an_unknown_key_says_where_the_known_ones_are(engine: Engine) -> None:
    with (
        pytest.raises(UnknownApiKey, match="unknown API key '00000000'; `pims keys list`"),
        transaction(engine) as connection,
    ):
        revoke_api_key(connection, "00000000")


def test_the_api_notes_that_a_key_was_used(api: Engine, key: NewApiKey) -> None:
    with transaction(api) as connection:
        note_api_key_use(connection, key.id)
        now = connection.scalar(select(func.now()))
    with transaction(api) as connection:
        found = find_one(connection, key.prefix)
    assert found.last_used_at == now


@pytest.mark.parametrize(("seconds_ago", "is_noted"), [(59, False), (60, True), (-5, False)])
def test_use_is_noted_at_most_once_a_minute(
    engine: Engine, key: NewApiKey, *, seconds_ago: int, is_noted: bool
) -> None:
    # now() does not change within a transaction.
    with transaction(engine) as connection:
        now = connection.scalars(select(func.now())).one()
        former = now - timedelta(seconds=seconds_ago)
        connection.execute(update(clinic_api_keys).values(last_used_at=former))
        note_api_key_use(connection, key.id)
        used = connection.scalars(select(clinic_api_keys.c.last_used_at)).one()
    assert used == (now if is_noted else former)
