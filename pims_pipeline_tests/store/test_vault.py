"""Envelopes decrypt for their own row, whole and unchanged, and for nothing else."""

import base64
import secrets
from uuid import UUID, uuid4

import pytest

from pims_pipeline.store.vault import BadEncryptionKey, KeyGone, Undecryptable, Vault, key_id_of

CLINIC = UUID("11111111-1111-4111-8111-111111111111")
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
SECRET = b'{"password": "hunter2"}'


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


def test_a_change_of_any_bit_of_any_byte_is_noticed() -> None:
    vault, envelope = Vault(KEY), _encrypted(Vault(KEY))
    for position in range(len(envelope)):
        for bit in range(8):
            forged = bytearray(envelope)
            forged[position] ^= 1 << bit
            with pytest.raises(Undecryptable):
                _decrypted(vault, bytes(forged))


def test_a_cut_off_or_lengthened_envelope_is_noticed() -> None:
    vault, envelope = Vault(KEY), _encrypted(Vault(KEY))
    for length in range(len(envelope)):
        with pytest.raises(Undecryptable):
            _decrypted(vault, envelope[:length])
    with pytest.raises(Undecryptable):
        _decrypted(vault, envelope + b"\0")


@pytest.mark.parametrize(
    ("table", "clinic_id", "provider_type"),
    [
        ("pims_sessions", CLINIC, "idexx_neo"),
        ("pims_credentials", uuid4(), "idexx_neo"),
        ("pims_credentials", CLINIC, "other"),
    ],
)
def test_an_envelope_copied_to_another_row_does_not_decrypt(
    table: str, clinic_id: UUID, provider_type: str
) -> None:
    vault = Vault(KEY)
    with pytest.raises(Undecryptable):
        vault.decrypt(
            _encrypted(vault), table=table, clinic_id=clinic_id, provider_type=provider_type
        )


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


def test_a_key_that_is_gone_is_told_from_tampering_and_says_what_to_do() -> None:
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
