"""Files that a command writes where the user wants them, readable by the user alone."""

import os
import tempfile
from pathlib import Path

from pims_pipeline.cli.terminal.errors import Refused


def write_private(path: Path, text: str, *, replace: bool) -> None:
    """Write ``text`` to a file with mode 0600, whole or not at all.

    Args:
        path: The file.
        text: Its content.
        replace: Whether to replace an existing file.

    Raises:
        Refused: If the file exists and may not be replaced, or cannot be written.
    """
    try:
        _write(path, text, replace=replace)
    except FileExistsError:
        problem = f"{path} exists; name another file with --output, or replace it with --force"
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        problem = f"cannot write {path} ({reason}); name another file with --output"
    else:
        return
    raise Refused(problem)


def _write(path: Path, text: str, *, replace: bool) -> None:
    if replace:
        # With mode 0600; until the file is whole, the former one stays.
        descriptor, name = tempfile.mkstemp(prefix=".pims-", dir=path.parent)
        written = Path(name)
    else:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        written = path
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        if replace:
            written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
