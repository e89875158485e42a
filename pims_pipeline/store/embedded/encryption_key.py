"""The key file that encrypts credentials in the embedded database."""

import base64
import os
import secrets
import tempfile
from pathlib import Path

from pims_pipeline.store.embedded.start_lock import exclusive

_KEY_FILE = "encryption.key"
_KEY_BYTES = 32


def encryption_key(home: Path) -> str:
    """The key of the embedded database's secrets, created by the first call.

    It is in ``encryption.key`` under ``home``, readable by its owner alone. Without it, the stored
    credentials are lost: they must be entered again.

    Returns:
        32 random bytes in base64.
    """
    home = home.expanduser().resolve()
    file = home / _KEY_FILE
    with exclusive(home):
        if not file.exists():
            # mkstemp opens with O_EXCL and mode 0600; renaming shows the whole key or none,
            # also after a crash.
            handle, name = tempfile.mkstemp(dir=home, prefix=f"{_KEY_FILE}.")
            with os.fdopen(handle, "wb") as new:
                new.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
                new.flush()
                os.fsync(new.fileno())
            Path(name).rename(file)
        return file.read_text().strip()


def has_encryption_key(home: Path) -> bool:
    """Whether ``encryption_key`` has created the key; creates nothing."""
    return (home.expanduser().resolve() / _KEY_FILE).exists()
