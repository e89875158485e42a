"""Files that are their owner's alone, whatever umask the shell has.

``dagster.yaml`` names the classes that Dagster loads: whoever may write it, runs programs as
us. Logs and records are nobody else's business either.
"""

import os
from pathlib import Path

from pims_pipeline.domain.errors import UserFacingError

PRIVATE_UMASK = 0o077
_PRIVATE = 0o700
_PRIVATE_BUT_ENTERED = 0o710
"""Root's: the embedded server runs as another user, whose group may pass to its own directory."""


class HomeNotPrivate(UserFacingError):
    """The home directory is another user's; the message says what to do."""


def keep_files_private() -> None:
    """From now on, files that this process and its children make are their owner's alone."""
    os.umask(PRIVATE_UMASK)


def make_private(directory: Path) -> None:
    """Make a directory for its owner alone, or close an existing one to others.

    Raises:
        HomeNotPrivate: If another user owns it.
        OSError: If it cannot be made.
    """
    directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    close_to_others(directory)


def close_to_others(directory: Path) -> None:
    """Close a directory to others; nothing happens if there is none.

    Raises:
        HomeNotPrivate: If another user owns it.
    """
    try:
        found = directory.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if os.name != "posix":
        return
    if found.st_uid != os.geteuid():
        raise HomeNotPrivate(
            f"{directory} belongs to another user (number {found.st_uid}), who could change what "
            "is run here: run as that user, change its owner, or set PIMS_HOME to a directory of "
            "your own"
        )
    wanted = _PRIVATE_BUT_ENTERED if os.geteuid() == 0 else _PRIVATE
    mode = found.st_mode & 0o7777
    if mode & ~wanted:
        directory.chmod(mode & wanted)
