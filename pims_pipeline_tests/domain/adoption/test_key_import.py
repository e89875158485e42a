"""What an import does with each API key of a v4.0 installation; for any keys, and run again."""

import string
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.adoption.api_keys import (
    ClearKey,
    ClinicChoice,
    ImportedKey,
    ImportOutcome,
    KnownKey,
    PlannedKey,
    V4ApiKey,
    plan_key_import,
)
from pims_pipeline.domain.adoption.key_problems import (
    KeyOfAnotherClinic,
    KeysBeginAlike,
    KeysNeedClinics,
    UnknownOwner,
)
from pims_pipeline.domain.api_keys import MOST_CANDIDATES, hash_of, permits

NOW = datetime(2026, 3, 9, 14, tzinfo=UTC)
ELM, OAK = UUID(int=1), UUID(int=2)
CLINICS = (ELM, OAK)


def key(text: str = "live_0123456789abcdef", **values: object) -> V4ApiKey:
    """A key of a user; the text decides its hash and prefix."""
    facts: dict[str, object] = {
        "id": f"id of {text}",
        "name": "Front desk",
        "user_id": "user-1",
        "clinic_id": None,
        "prefix": text[:8],
        "key_hash": hash_of(text),
        "clear": None,
        "permissions": ("sync:inbound", "sync:cases", "sync:reconciliation"),
        "is_active": True,
        "expires_at": None,
        "last_used_at": None,
        "created_at": NOW - timedelta(days=30),
    }
    return V4ApiKey(**{**facts, **values})  # type: ignore[arg-type]


def in_clear(text: str, **values: object) -> V4ApiKey:
    """A key whose text is stored."""
    clear = ClearKey(hash=hash_of(text), start=text[:8], length=len(text))
    facts: dict[str, object] = {"clear": clear, "prefix": None, "key_hash": None, **values}
    return key(text, **facts)


def plan(
    theirs: Sequence[V4ApiKey],
    choice: ClinicChoice,
    ours: Sequence[KnownKey] = (),
    *,
    wait_seconds: int | None = None,
) -> tuple[PlannedKey, ...]:
    return plan_key_import(
        theirs, ours, choice, clinics=CLINICS, wait_seconds=wait_seconds, now=NOW
    )


def known(imported: ImportedKey, number: int = 0) -> KnownKey:
    """A key that was imported before."""
    return KnownKey(
        id=UUID(int=number),
        clinic_id=imported.clinic_id,
        prefix=imported.key_prefix,
        key_hash=imported.key_hash,
        is_active=imported.is_active,
        wait_seconds=imported.wait_seconds,
    )


def after(planned: Sequence[PlannedKey]) -> list[KnownKey]:
    """The keys that are here once a plan was carried out on an empty table."""
    new = [each.new for each in planned if each.new is not None]
    return [known(each, number) for number, each in enumerate(new)]


def reasons(planned: Sequence[PlannedKey]) -> list[tuple[str, str | None]]:
    return [(each.outcome.value, each.reason) for each in planned]


TO_ELM = ClinicChoice(for_all=ELM)


def test_a_key_keeps_its_hash_its_state_and_its_rights_by_their_present_names() -> None:
    expired = NOW - timedelta(days=1)
    [planned] = plan([key(is_active=False, expires_at=expired)], TO_ELM, wait_seconds=60)

    assert planned.outcome is ImportOutcome.IMPORTED
    assert planned.new == ImportedKey(
        clinic_id=ELM,
        name="Front desk",
        key_prefix="live_012",
        key_hash=hash_of("live_0123456789abcdef"),
        permissions=("sync:inbound", "sync:cases", "sync:reconcile"),
        is_active=False,
        expires_at=expired,
        last_used_at=None,
        created_at=NOW - timedelta(days=30),
        wait_seconds=60,
    )


def test_the_clinic_is_that_of_the_key_then_of_the_user_then_of_all() -> None:
    theirs = [key("a" * 20), key("b" * 20), key("c" * 20, user_id="user-2"), key("d" * 20)]
    choice = ClinicChoice(for_all=ELM, by_user={"user-2": OAK}, by_key={f"id of {'b' * 20}": OAK})

    assert [each.clinic_id for each in plan(theirs, choice)] == [ELM, OAK, OAK, ELM]


def test_keys_without_a_clinic_are_listed_and_none_is_imported() -> None:
    theirs = [key("a" * 20), key("b" * 20, user_id=None, name=None), key("c" * 20, user_id="u3")]

    with pytest.raises(KeysNeedClinics) as caught:
        plan(theirs, ClinicChoice(by_user={"u3": ELM}))

    message = str(caught.value)
    assert f"'Front desk' (id of {'a' * 20}, user user-1)" in message
    assert f"'imported from v4.0' (id of {'b' * 20})" in message
    assert "c" * 20 not in message
    assert "--user USER=SLUG" in message


def test_a_long_list_of_keys_without_a_clinic_is_cut() -> None:
    with pytest.raises(KeysNeedClinics, match=r"and 5 more; name it with"):
        plan([key(f"{number:020}") for number in range(25)], ClinicChoice())


def test_keys_without_a_clinic_can_be_left_out() -> None:
    planned = plan([key()], ClinicChoice(leaves_others=True))

    assert reasons(planned) == [
        ("left_out", "it names no clinic, and none was named for it"),
    ]


@pytest.mark.parametrize("choice", [{"by_user": {"user-9": ELM}}, {"by_key": {"user-9": ELM}}])
def test_a_user_or_key_that_is_not_there_is_a_typing_error(
    choice: dict[str, dict[str, UUID]],
) -> None:
    with pytest.raises(UnknownOwner, match="user-9"):
        plan([key()], ClinicChoice(for_all=ELM, **choice))  # type: ignore[arg-type]


def test_a_clinic_is_never_given_the_keys_of_another() -> None:
    elms, oaks = key("a" * 20, clinic_id=ELM), key("b" * 20, clinic_id=OAK)

    assert [each.theirs for each in plan([elms, oaks], TO_ELM)] == [elms]
    assert [each.clinic_id for each in plan([elms, oaks], ClinicChoice())] == [ELM, OAK]


def test_keys_of_a_clinic_that_is_not_here_wait_until_it_is_adopted() -> None:
    elsewhere = UUID(int=7)
    planned = plan([key(clinic_id=elsewhere)], ClinicChoice())

    assert reasons(planned) == [
        ("left_out", f"clinic {elsewhere} is not here; adopt it first"),
    ]


def test_a_key_in_clear_is_imported_by_its_hash_and_must_be_replaced() -> None:
    text = "plain-text-key-0001"
    [planned] = plan([in_clear(text)], TO_ELM)

    assert planned.must_be_replaced
    assert planned.new is not None
    assert (planned.new.key_hash, planned.new.key_prefix) == (hash_of(text), "plain-te")
    assert planned.prefix == "plain-te"


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (in_clear("short"), "its text has not 16 to 512 characters"),
        (in_clear("k" * 513), "its text has not 16 to 512 characters"),
        (in_clear("k" * 20, key_hash=hash_of("other")), "its hash is not that of its text"),
        (key(key_hash=None), "its hash is not a SHA-256 in hexadecimal"),
        (key(key_hash="$2b$12$bcrypt"), "its hash is not a SHA-256 in hexadecimal"),
        (key(prefix=None), "its prefix has less than 8 characters"),
        (key(prefix="short"), "its prefix has less than 8 characters"),
    ],
)
def test_a_key_that_cannot_be_recognized_is_left_out_with_the_reason(
    theirs: V4ApiKey, reason: str
) -> None:
    assert reasons(plan([theirs], TO_ELM)) == [("left_out", reason)]
    # It needs no clinic either.
    assert reasons(plan([theirs], ClinicChoice())) == [("left_out", reason)]


def test_a_longer_prefix_is_cut_to_what_is_looked_up() -> None:
    [planned] = plan([key(prefix="live_0123456789a")], TO_ELM)

    assert planned.new is not None
    assert planned.new.key_prefix == "live_0123456"


def test_of_rows_with_one_key_the_newest_active_one_is_imported() -> None:
    revoked = key(id="1", is_active=False, created_at=NOW)
    older = key(id="2", created_at=NOW - timedelta(days=2))
    newer = key(id="3", created_at=NOW - timedelta(days=1))

    assert reasons(plan([revoked, older, newer], TO_ELM)) == [
        ("left_out", "the same key as 3"),
        ("left_out", "the same key as 3"),
        ("imported", None),
    ]


def test_one_key_of_two_clinics_stops_the_import() -> None:
    with pytest.raises(KeyOfAnotherClinic, match="already belongs to another clinic"):
        plan(
            [key(id="1"), key(id="2", user_id="u2")], ClinicChoice(for_all=ELM, by_user={"u2": OAK})
        )


def test_a_key_that_is_here_for_another_clinic_stops_the_import() -> None:
    ours = after(plan([key()], TO_ELM))

    with pytest.raises(KeyOfAnotherClinic):
        plan([key()], ClinicChoice(for_all=OAK), ours)


def test_again_nothing_changes_and_no_clinic_need_be_named() -> None:
    ours = after(plan([key()], TO_ELM, wait_seconds=60))

    assert reasons(plan([key()], ClinicChoice(), ours)) == [("unchanged", None)]
    assert reasons(plan([key()], TO_ELM, ours, wait_seconds=60)) == [("unchanged", None)]


def test_another_wait_is_set_and_a_key_revoked_there_is_revoked_here() -> None:
    ours = after(plan([key()], TO_ELM))

    [waiting] = plan([key()], TO_ELM, ours, wait_seconds=30)
    [revoked] = plan([key(is_active=False)], TO_ELM, ours)

    assert (waiting.outcome, waiting.revised) == (ImportOutcome.UPDATED, {"wait_seconds": 30})
    assert (revoked.outcome, revoked.revised) == (ImportOutcome.UPDATED, {"is_active": False})


def test_a_key_revoked_here_stays_revoked() -> None:
    revoked = after(plan([key(is_active=False)], TO_ELM))

    [planned] = plan([key(is_active=True, permissions=None)], TO_ELM, revoked)

    assert (planned.outcome, planned.revised) == (ImportOutcome.UNCHANGED, {})


def test_no_import_lets_too_many_keys_begin_alike() -> None:
    def alike(amount: int, text: str = "live_key") -> list[V4ApiKey]:
        return [key(f"{text}{number:05}", prefix=text) for number in range(amount)]

    most = plan(alike(MOST_CANDIDATES), TO_ELM)
    assert {each.outcome for each in most} == {ImportOutcome.IMPORTED}
    with pytest.raises(KeysBeginAlike, match="more than 256 keys begin with 'live_key'"):
        plan(alike(MOST_CANDIDATES + 1), TO_ELM)
    # A text that begins with the longer prefix is compared with the keys of both.
    for more in (["live_key+abc"], ["live_key"]):
        with pytest.raises(KeysBeginAlike):
            plan([key(f"{more[0]}-zzzz", prefix=more[0])], TO_ELM, after(most))
    assert plan([key("other_ke", prefix="other_ke")], TO_ELM, after(most))[0].new is not None


def test_moments_of_a_wrong_clock_are_not_taken_over() -> None:
    later = NOW + timedelta(days=400)
    [planned] = plan([key(last_used_at=later, created_at=later)], TO_ELM)

    assert planned.new is not None
    assert (planned.new.last_used_at, planned.new.created_at) == (None, NOW)


@pytest.mark.parametrize("name", [None, "", "  \t ", "\x1b[2J\x07"])
def test_a_name_that_shows_nothing_is_replaced(name: str | None) -> None:
    assert key(name=name).shown_name in {"imported from v4.0", "[2J"}


TEXTS = st.text(string.ascii_letters + string.digits + "_-", min_size=8, max_size=24)
MOMENTS = st.none() | st.integers(-3000, 3000).map(lambda days: NOW + timedelta(days=days))
PERMISSIONS = st.none() | st.lists(
    st.sampled_from(["sync:inbound", "sync:reconciliation", "sync:*", "*", "read", "", "odd"])
).map(tuple)


@st.composite
def keys(draw: st.DrawFn) -> V4ApiKey:
    """A key of any state; texts repeat, so that rows share a key."""
    text = draw(st.sampled_from(["live_key_0001", "live_key_0002", "live_key-other"]) | TEXTS)
    facts = {
        "id": str(draw(st.uuids())),
        "user_id": draw(st.sampled_from(["user-1", "user-2", None])),
        "prefix": draw(st.sampled_from([text[:8], text[:12], text[:10], None, "short"])),
        "permissions": draw(PERMISSIONS),
        "is_active": draw(st.booleans()),
        "expires_at": draw(MOMENTS),
        "created_at": draw(MOMENTS),
        "last_used_at": draw(MOMENTS),
        "name": draw(st.none() | st.text()),
    }
    return in_clear(text, **facts) if draw(st.booleans()) else key(text, **facts)


@given(st.lists(keys(), max_size=8))
def test_any_import_run_again_changes_nothing(theirs: list[V4ApiKey]) -> None:
    first = plan(theirs, TO_ELM, wait_seconds=45)
    second = plan(theirs, ClinicChoice(), after(first))

    assert [each.new for each in second] == [None] * len(theirs)
    assert {each.outcome for each in second} <= {ImportOutcome.UNCHANGED, ImportOutcome.LEFT_OUT}


@given(st.lists(keys(), max_size=8), st.sampled_from(["sync:inbound", "sync:reconcile", "read"]))
def test_no_import_widens_the_rights_of_a_key(theirs: list[V4ApiKey], wanted: str) -> None:
    for planned in plan(theirs, TO_ELM):
        assert planned.theirs in theirs
        if planned.new is not None:
            assert permits(planned.new.permissions, wanted) is permits(
                planned.theirs.permissions, wanted
            )
            assert planned.new.is_active is planned.theirs.is_active
            assert planned.new.expires_at == planned.theirs.expires_at


@given(st.lists(keys(), max_size=8))
def test_every_key_is_accounted_for_and_no_two_are_stored_with_one_hash(
    theirs: list[V4ApiKey],
) -> None:
    planned = plan(theirs, TO_ELM)

    assert [each.theirs for each in planned] == theirs
    stored = [each.new.key_hash for each in planned if each.new is not None]
    assert len(set(stored)) == len(stored)
    assert all(each.reason for each in planned if each.outcome is ImportOutcome.LEFT_OUT)
