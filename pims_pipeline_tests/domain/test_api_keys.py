"""API keys: their format, how any text is looked up, and permissions."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.api_keys import (
    LONGEST_KEY,
    PERMISSIONS,
    checked_permissions,
    hash_of,
    lookup_start,
    new_key,
    permits,
    prefix_of,
)

BASE62 = string.ascii_letters + string.digits
KEY = "AbCd1234_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG1ehAwe"


def _changed(key: str, at: int) -> set[str]:
    """The key with any other letter in that place."""
    return {key[:at] + letter + key[at + 1 :] for letter in BASE62 if letter != key[at]}


def test_a_key_is_its_prefix_its_secret_and_a_checksum() -> None:
    key = new_key()
    assert re.fullmatch(r"[0-9A-Za-z]{8}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", key)
    assert prefix_of(key) == key[:8]


def test_keys_made_by_earlier_versions_stay_valid() -> None:
    assert prefix_of(KEY) == "AbCd1234"
    assert hash_of(KEY) == ("d1ba258e70ad9bf50a3009feb4600fa803908c353a92ac758345cd12f5f68113")


def test_no_two_keys_are_the_same_and_every_letter_occurs_in_every_place() -> None:
    keys = [new_key() for _ in range(3000)]
    assert len(set(keys)) == len(keys)
    places = [*range(8), *range(9, 52)]
    assert {frozenset(key[place] for key in keys) for place in places} == {frozenset(BASE62)}


def test_one_mistyped_letter_is_always_noticed() -> None:
    mistyped = set[str]().union(*(_changed(KEY, at) for at in range(len(KEY)) if KEY[at] != "_"))
    assert [key for key in mistyped if prefix_of(key) is not None] == []


def test_two_letters_in_the_wrong_order_are_always_noticed() -> None:
    swapped = {KEY[:at] + KEY[at + 1] + KEY[at] + KEY[at + 2 :] for at in range(len(KEY) - 1)}
    assert [key for key in swapped - {KEY} if prefix_of(key) is not None] == []


@pytest.mark.parametrize(
    "text",
    ["", "key", KEY[:-1], KEY + "0", f" {KEY}", f"{KEY}\n", KEY.replace("_", "-"), KEY * 2, "\0"],
)
def test_what_has_not_the_shape_of_a_key_has_no_prefix(text: str) -> None:
    assert prefix_of(text) is None


@given(st.text(st.characters()))
def test_any_text_has_a_hash_and_is_checked_for_a_prefix(text: str) -> None:
    assert prefix_of(text) is None
    assert re.fullmatch("[0-9a-f]{64}", hash_of(text))


def test_digits_of_other_scripts_are_no_digits_of_a_key() -> None:
    assert prefix_of(KEY.replace("0", "\u0660")) is None


@pytest.mark.parametrize("wanted", PERMISSIONS)
def test_a_key_without_permissions_permits_everything_and_so_does_a_star(wanted: str) -> None:
    assert permits(None, wanted)
    assert permits([], wanted)
    assert permits(["*"], wanted)
    assert permits(["something of old", "*"], wanted)


@pytest.mark.parametrize("wanted", PERMISSIONS)
def test_a_permission_permits_itself_and_nothing_else(wanted: str) -> None:
    others = [each for each in PERMISSIONS if each != wanted]
    assert permits([wanted], wanted)
    assert not permits(others, wanted)
    assert not permits([wanted.upper(), f"{wanted} ", "sync", "SYNC:*", wanted[:-1]], wanted)


@pytest.mark.parametrize("wanted", PERMISSIONS)
def test_all_syncs_are_every_permission_but_reading(wanted: str) -> None:
    assert permits(["sync:*"], wanted) is wanted.startswith("sync:")


def test_a_permission_may_have_the_name_that_the_v4_service_gave_it() -> None:
    assert permits(["sync:reconciliation"], "sync:reconcile")
    assert not permits(["sync:reconciliation"], "sync:inbound")
    assert checked_permissions(["sync:reconciliation", "sync:reconcile"]) == ("sync:reconcile",)


def test_a_list_that_permits_nothing_known_permits_nothing() -> None:
    assert [wanted for wanted in PERMISSIONS if permits(["", "cases:write"], wanted)] == []


@given(st.text(st.characters()))
def test_any_text_is_looked_up_by_its_first_characters_or_is_no_key(text: str) -> None:
    start = lookup_start(text)

    if start is None:
        assert not 8 <= len(text) <= LONGEST_KEY or re.search("[\0\ud800-\udfff]", text)
    else:
        assert text.startswith(start)
        assert len(start) == min(len(text), 12)
        start.encode()


def test_of_a_key_of_ours_nothing_but_its_prefix_is_looked_up() -> None:
    key = new_key()
    assert lookup_start(key) == key[:8]
    assert lookup_start(key[:-1] + "!") == key[:12]


@pytest.mark.parametrize("text", ["", "short", "k" * 7, "k" * (LONGEST_KEY + 1), "nul\0l-nul-nul"])
def test_what_cannot_be_a_key_is_not_looked_up(text: str) -> None:
    assert lookup_start(text) is None


def test_permissions_that_do_not_exist_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown permission 'sync:all', 'write'; there are sync"):
        checked_permissions(["read", "sync:all", "write"])


def test_permissions_are_kept_once_each_in_the_order_given() -> None:
    assert checked_permissions(["read", "*", "read"]) == ("read", "*")
    assert checked_permissions([]) == ()
