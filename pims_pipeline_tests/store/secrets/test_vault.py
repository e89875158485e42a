"""Envelopes decrypt for their own row, whole and unchanged, and for nothing else."""

import base64
import secrets
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple
from uuid import UUID

import pytest

from pims_pipeline.store.secrets.vault import (
    BadEncryptionKey,
    KeyGone,
    Undecryptable,
    Vault,
    key_id_of,
)

CLINIC = UUID("11111111-1111-4111-8111-111111111111")
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
SECRET = b'{"password": "hunter2"}'
HEADER_BYTES = 1 + 8 + 12
TAG_BYTES = 16


class Place(NamedTuple):
    """The row that an envelope belongs to."""

    table: str
    clinic_id: UUID
    provider_type: str


PLACES = [
    Place(*place)
    for place in product(
        ("pims_credentials", "pims_sessions"),
        (CLINIC, UUID("22222222-2222-4222-8222-222222222222")),
        ("idexx_neo", "other"),
    )
]


def _encrypted(vault: Vault) -> bytes:
    return vault.encrypt(
        SECRET, table="pims_credentials", clinic_id=CLINIC, provider_type="idexx_neo"
    ).data


def _decrypted(vault: Vault, envelope: bytes) -> bytes:
    return vault.decrypt(
        envelope, table="pims_credentials", clinic_id=CLINIC, provider_type="idexx_neo"
    )


def test_what_was_encrypted_decrypts_for_the_same_row() -> None:
    assert _decrypted(Vault(KEY), _encrypted(Vault(KEY))) == SECRET


def test_an_empty_secret_is_a_secret_too() -> None:
    vault = Vault(KEY)
    envelope = vault.encrypt(b"", table="t", clinic_id=CLINIC, provider_type="p").data
    assert vault.decrypt(envelope, table="t", clinic_id=CLINIC, provider_type="p") == b""


def test_an_envelope_says_its_version_and_key_and_nothing_of_its_content() -> None:
    envelope = Vault(KEY).encrypt(SECRET, table="t", clinic_id=CLINIC, provider_type="p")
    assert envelope.key_id == key_id_of(KEY)
    assert envelope.data[:9] == b"\x01" + key_id_of(KEY).encode()
    assert len(envelope.data) == 1 + 8 + 12 + len(SECRET) + 16
    assert SECRET not in envelope.data


def test_the_same_secret_never_gives_the_same_envelope_twice() -> None:
    vault = Vault(KEY)
    assert len({_encrypted(vault) for _ in range(100)}) == 100


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _assert_refused(vault: Vault, envelope: bytes, place: Place = PLACES[0]) -> Undecryptable:
    """It does not decrypt, and the error shows neither the secret nor a key."""
    with pytest.raises(Undecryptable) as caught:
        vault.decrypt(envelope, **place._asdict())
    shown = "".join(f"{each!s}{each!r}{each.args!r}" for each in _chain(caught.value))
    assert "hunter2" not in shown
    assert "password" not in shown
    for key in (KEY, OTHER_KEY):
        for spelled in (key.hex(), base64.b64encode(key).decode(), repr(key)[2:-1]):
            assert spelled not in shown
    assert str(place.clinic_id) in str(caught.value)
    assert place.table in str(caught.value)
    return caught.value


def test_a_change_of_any_bit_of_any_byte_is_noticed() -> None:
    vault, envelope = Vault(KEY, [OTHER_KEY]), _encrypted(Vault(KEY))
    for position in range(len(envelope)):
        for bit in range(8):
            forged = bytearray(envelope)
            forged[position] ^= 1 << bit
            _assert_refused(vault, bytes(forged))


def test_an_envelope_cut_off_anywhere_is_noticed() -> None:
    vault, envelope = Vault(KEY), _encrypted(Vault(KEY))
    for length in range(len(envelope)):
        _assert_refused(vault, envelope[:length])
        _assert_refused(vault, envelope[len(envelope) - length :])


def test_a_lengthened_envelope_is_noticed() -> None:
    vault, envelope = Vault(KEY), _encrypted(Vault(KEY))
    for length in range(1, 2 * TAG_BYTES + 1):
        for padding in (bytes(length), envelope[:length], envelope[-length:]):
            _assert_refused(vault, envelope + padding)
            _assert_refused(vault, padding + envelope)
            for place in (1, HEADER_BYTES, len(envelope) - TAG_BYTES):
                _assert_refused(vault, envelope[:place] + padding + envelope[place:])


def test_parts_of_two_envelopes_of_one_row_make_no_third() -> None:
    vault = Vault(KEY)
    one, other = _encrypted(vault), _encrypted(vault)
    for cut in (HEADER_BYTES, len(one) - TAG_BYTES, *range(HEADER_BYTES - 12 + 1, len(one))):
        mixed = one[:cut] + other[cut:]
        # Their last bytes may happen to be the same.
        if mixed not in {one, other}:
            _assert_refused(vault, mixed)


@pytest.mark.parametrize(
    "made_for",
    PLACES,
    ids=lambda place: f"{place.table}-{str(place.clinic_id)[0]}-{place.provider_type}",
)
def test_an_envelope_copied_to_another_row_does_not_decrypt(made_for: Place) -> None:
    vault = Vault(KEY)
    envelope = vault.encrypt(SECRET, **made_for._asdict()).data
    for found_in in set(PLACES) - {made_for}:
        error = _assert_refused(vault, envelope, found_in)
        assert not isinstance(error, KeyGone)
    assert vault.decrypt(envelope, **made_for._asdict()) == SECRET


def test_no_other_version_is_taken_for_ours() -> None:
    vault, envelope = Vault(KEY), _encrypted(Vault(KEY))
    for version in set(range(256)) - {1}:
        _assert_refused(vault, bytes([version]) + envelope[1:])


@pytest.mark.parametrize(
    "key_id", [b"00000000", bytes(8), b"\xff" * 8, "ключ".encode(), key_id_of(KEY).upper().encode()]
)
def test_an_unknown_key_id_is_a_key_that_is_gone(key_id: bytes) -> None:
    envelope = _encrypted(Vault(KEY))
    error = _assert_refused(Vault(KEY, [OTHER_KEY]), envelope[:1] + key_id + envelope[9:])

    assert isinstance(error, KeyGone)


def test_what_is_re_encrypted_says_the_same_under_the_current_key() -> None:
    old, rotating = _encrypted(Vault(OTHER_KEY)), Vault(KEY, [OTHER_KEY])
    new = rotating.reencrypt(old, **PLACES[0]._asdict())

    assert new.key_id == key_id_of(KEY)
    assert new.data.startswith(rotating.header)
    assert not old.startswith(rotating.header)
    assert _decrypted(Vault(KEY), new.data) == SECRET


def test_a_forged_envelope_is_never_re_encrypted() -> None:
    old, rotating = _encrypted(Vault(OTHER_KEY)), Vault(KEY, [OTHER_KEY])
    for forged in (old[:-1], bytes([2]) + old[1:], old[:30] + bytes([old[30] ^ 1]) + old[31:]):
        with pytest.raises(Undecryptable):
            rotating.reencrypt(forged, **PLACES[0]._asdict())
    for place in PLACES[1:]:
        with pytest.raises(Undecryptable):
            rotating.reencrypt(old, **place._asdict())


def test_an_envelope_renamed_to_another_known_key_does_not_decrypt() -> None:
    envelope = _encrypted(Vault(KEY))
    renamed = envelope[:1] + key_id_of(OTHER_KEY).encode() + envelope[9:]
    with pytest.raises(Undecryptable):
        _decrypted(Vault(KEY, [OTHER_KEY]), renamed)


def test_a_retired_key_still_decrypts_and_the_current_one_encrypts() -> None:
    rotated = Vault(OTHER_KEY, [KEY])
    assert _decrypted(rotated, _encrypted(Vault(KEY))) == SECRET
    assert _encrypted(rotated)[1:9] == key_id_of(OTHER_KEY).encode()
    assert rotated.key_id == key_id_of(OTHER_KEY)


def test_a_key_that_is_gone_differs_from_tampering_and_says_what_to_do() -> None:
    with pytest.raises(KeyGone, match="ENCRYPTION_KEYS_RETIRED"):
        _decrypted(Vault(OTHER_KEY), _encrypted(Vault(KEY)))


def test_keys_are_read_from_base64_as_people_paste_them() -> None:
    text = base64.b64encode(KEY).decode() + "\n"
    retired = base64.b64encode(OTHER_KEY).decode()
    vault = Vault.from_base64(text, [retired])
    assert _decrypted(vault, _encrypted(Vault(KEY))) == SECRET
    assert _decrypted(vault, _encrypted(Vault(OTHER_KEY))) == SECRET


@pytest.mark.parametrize(
    "text", ["", "hunter2", "x" * 44, base64.b64encode(KEY[:31]).decode(), "ключ", KEY.hex()]
)
def test_a_wrong_key_is_refused_by_the_name_of_its_variable_and_never_shown(text: str) -> None:
    good = base64.b64encode(KEY).decode()
    for variable, arguments in (
        ("ENCRYPTION_KEY:", (text, [])),
        ("ENCRYPTION_KEYS_RETIRED:", (good, [text])),
    ):
        with pytest.raises(BadEncryptionKey, match=f"^{variable}") as caught:
            Vault.from_base64(*arguments)
        assert not text or text not in str(caught.value)


def test_raw_keys_of_another_length_are_refused() -> None:
    with pytest.raises(BadEncryptionKey):
        Vault(secrets.token_bytes(16))


def test_a_printed_vault_shows_no_key() -> None:
    shown = repr(Vault(KEY, [OTHER_KEY]))
    assert shown == f"Vault(current key {key_id_of(KEY)}, 1 retired)"
