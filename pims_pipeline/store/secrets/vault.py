"""Encryption at rest: AES-256-GCM envelopes bound to the row they belong to.

An envelope is ``version (1 byte) | key id (8) | nonce (12) | ciphertext and tag``. The
associated data holds the version, the key id and ``table:clinic_id:provider_type``, so an
envelope copied to another row does not decrypt. ``credentials`` and ``sessions`` store
envelopes and log each decryption.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from pims_pipeline.domain.errors import UserFacingError

KEY_BYTES = 32
_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES + _NONCE_BYTES


class BadEncryptionKey(UserFacingError, ValueError):
    """A key is not 32 bytes in base64. The message never shows it."""


class Undecryptable(UserFacingError):
    """An envelope is damaged, forged, or belongs to another row."""


class KeyGone(Undecryptable):
    """An envelope was made with a key that is no longer among ours."""


class Envelope(NamedTuple):
    """An encrypted value, as stored.

    Attributes:
        data: The envelope's bytes.
        key_id: Names the key without revealing it; also a part of ``data``.
    """

    data: bytes
    key_id: str


def key_id_of(key: bytes) -> str:
    """The first 8 hexadecimal digits of the key's SHA-256."""
    return hashlib.sha256(key).hexdigest()[:_KEY_ID_BYTES]


class Vault:
    """Encrypts with the current key; decrypts with it or any retired one.

    Raises:
        BadEncryptionKey: If a key is not 32 bytes long.
    """

    def __init__(self, current_key: bytes, retired_keys: Sequence[bytes] = ()) -> None:
        if any(len(key) != KEY_BYTES for key in (current_key, *retired_keys)):
            raise BadEncryptionKey(f"an encryption key must be {KEY_BYTES} bytes long")
        # Imported by who opens a vault alone: the API and the console have no key.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        self._ciphers = {key_id_of(key): AESGCM(key) for key in (*retired_keys, current_key)}
        self._current = key_id_of(current_key)

    @classmethod
    def from_base64(cls, current: str, retired: Sequence[str] = ()) -> "Vault":
        """A vault with the keys as settings and key files write them.

        Raises:
            BadEncryptionKey: If one is not 32 bytes in base64; names the variable.
        """
        key = _decoded("ENCRYPTION_KEY", current)
        return cls(key, [_decoded("ENCRYPTION_KEYS_RETIRED", each) for each in retired])

    def __repr__(self) -> str:
        return f"Vault(current key {self._current}, {len(self._ciphers) - 1} retired)"

    @property
    def key_id(self) -> str:
        """Names the key that new envelopes are made with."""
        return self._current

    @property
    def header(self) -> bytes:
        """What every envelope made now begins with: version and key id."""
        return _VERSION + self._current.encode()

    def encrypt(
        self, plaintext: bytes, *, table: str, clinic_id: UUID, provider_type: str
    ) -> Envelope:
        """``plaintext`` for one row alone, under the current key."""
        header = self.header
        nonce = secrets.token_bytes(_NONCE_BYTES)
        bound_to = _associated(header, table, clinic_id, provider_type)
        sealed = self._ciphers[self._current].encrypt(nonce, plaintext, bound_to)
        return Envelope(header + nonce + sealed, self._current)

    def decrypt(self, envelope: bytes, *, table: str, clinic_id: UUID, provider_type: str) -> bytes:
        """What ``encrypt`` was given for this very row.

        Raises:
            KeyGone: If the envelope names a key that this vault does not hold.
            Undecryptable: If it was damaged, forged, or made for another row.
        """
        row = f"the {table} row of clinic {clinic_id}"
        if len(envelope) < _HEADER_BYTES + _TAG_BYTES or not envelope.startswith(_VERSION):
            raise Undecryptable(f"{row} does not hold an envelope this program can read")
        header, rest = envelope[: 1 + _KEY_ID_BYTES], envelope[1 + _KEY_ID_BYTES :]
        cipher = self._ciphers.get(header[1:].decode("ascii", "replace"))
        if cipher is None:
            raise KeyGone(
                f"{row} was encrypted with a key that is neither ENCRYPTION_KEY nor one of "
                "ENCRYPTION_KEYS_RETIRED; give the old key back, or enter the credentials again"
            )
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above

        nonce, sealed = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            return cipher.decrypt(
                nonce, sealed, _associated(header, table, clinic_id, provider_type)
            )
        except InvalidTag:
            raise Undecryptable(f"{row} was changed, or belongs to another row") from None

    def reencrypt(
        self, envelope: bytes, *, table: str, clinic_id: UUID, provider_type: str
    ) -> Envelope:
        """What ``envelope`` holds for this very row, under the current key.

        Raises:
            KeyGone, Undecryptable: As ``decrypt`` does.
        """
        plaintext = self.decrypt(
            envelope, table=table, clinic_id=clinic_id, provider_type=provider_type
        )
        return self.encrypt(
            plaintext, table=table, clinic_id=clinic_id, provider_type=provider_type
        )


def _associated(header: bytes, table: str, clinic_id: UUID, provider_type: str) -> bytes:
    return header + f"{table}:{clinic_id}:{provider_type}".encode()


def _decoded(variable: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise BadEncryptionKey(
            f"{variable}: a key must be {KEY_BYTES} bytes in base64 (44 characters); "
            "make one with `openssl rand -base64 32`"
        )
    return key
