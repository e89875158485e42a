"""Decrypt the credentials of a v4.0 installation; what is stored here is encrypted by ``vault``.

Its scheme: ``IV (12 bytes) | tag (16) | ciphertext``, AES-256-GCM without associated data. The key
is derived from a password by PBKDF2 with SHA-256 and 100,000 rounds; the salt is the key's id. Only
the command that imports them needs the password.
"""

import json
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from pims_pipeline.domain.adoption.v4 import V4Credentials
from pims_pipeline.domain.errors import UserFacingError

VARIABLE = "IDEXX_ENCRYPTION_KEY"
"""The environment variable with the password of every key that has none of its own."""

PasswordOf = Callable[[str], str | None]
"""The value of an environment variable; None if it is not set or empty."""

_ROUNDS = 100_000
_KEY_BYTES = 32
_IV_BYTES = 12
_TAG_BYTES = 16


class V4KeyMissing(UserFacingError):
    """No environment variable holds the key of the credentials."""


class V4Undecryptable(UserFacingError):
    """The credentials do not decrypt with the given key, or do not hold a login."""


def variable_of(key_id: str) -> str:
    """The environment variable of one key, which takes precedence over ``VARIABLE``."""
    return f"{VARIABLE}_{key_id.upper()}"


def decrypted_v4_login(
    credentials: V4Credentials, password_of: PasswordOf
) -> dict[str, str | None]:
    """The login with the fields ``username``, ``password`` and ``company_id``.

    Args:
        credentials: As stored by the v4.0 installation.
        password_of: Returns environment variables by name.

    Raises:
        V4KeyMissing: If neither variable of the key is set.
        V4Undecryptable: If the key is another one, or the content is no login. Neither message
            holds any of the content.
    """
    variable, password = _password(credentials.key_id, password_of)
    key = PBKDF2HMAC(
        algorithm=SHA256(),
        length=_KEY_BYTES,
        salt=credentials.key_id.encode(),
        iterations=_ROUNDS,
    ).derive(password.encode())
    try:
        fields = _fields(credentials, AESGCM(key))
    except (InvalidTag, ValueError):
        # Raised without the cause, whose traceback reaches the plaintext.
        fields = None
    if fields is None:
        raise V4Undecryptable(
            f"the v4.0 credentials of clinic {credentials.clinic_id} are encrypted with the key "
            f"{credentials.key_id!r}, and the value of {variable} does not decrypt them to a "
            f"login; set {variable_of(credentials.key_id)} to the key that the v4.0 service "
            "runs with, or adopt the clinic with --without-credentials"
        )
    return fields


def _password(key_id: str, password_of: PasswordOf) -> tuple[str, str]:
    """The variable that holds the key's password, and the password."""
    for variable in (variable_of(key_id), VARIABLE):
        password = password_of(variable)
        if password:
            return variable, password
    raise V4KeyMissing(
        f"the v4.0 credentials are encrypted with the key {key_id!r}; set {variable_of(key_id)} "
        f"or {VARIABLE} to the key that the v4.0 service runs with, or adopt the clinic with "
        "--without-credentials"
    )


def _fields(credentials: V4Credentials, cipher: AESGCM) -> dict[str, str | None] | None:
    """The fields; None if there is no user or no password."""
    if credentials.document is not None:
        document = json.loads(_opened(credentials.document, cipher))
        fields = _of_document(document) if isinstance(document, Mapping) else {}
    else:
        company = credentials.company_id
        fields = {
            "username": _opened(credentials.username or b"", cipher),
            "password": _opened(credentials.password or b"", cipher),
            "company_id": _opened(company, cipher) if company else None,
        }
    return fields if fields.get("username") and fields.get("password") else None


def _of_document(document: Mapping[str, object]) -> dict[str, str | None]:
    company = document.get("practiceId", document.get("companyId"))
    return {
        "username": _text(document.get("username")),
        "password": _text(document.get("password")),
        "company_id": _text(company),
    }


def _text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _opened(stored: bytes, cipher: AESGCM) -> str:
    iv, tag = stored[:_IV_BYTES], stored[_IV_BYTES : _IV_BYTES + _TAG_BYTES]
    sealed = stored[_IV_BYTES + _TAG_BYTES :]
    if len(tag) < _TAG_BYTES:
        raise ValueError("too short")
    return cipher.decrypt(iv, sealed + tag, None).decode()
