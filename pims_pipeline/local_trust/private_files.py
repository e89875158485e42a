"""Restriction of files and directories to their owner, whatever the umask of the shell.

A user who can write ``dagster.yaml``, which names the classes that Dagster loads, can run code as
us. Logs and records are private too.
"""

import os
import stat
from pathlib import Path

from pims_pipeline.domain.errors import UserFacingError

PRIVATE_UMASK = 0o077
_PRIVATE = 0o700
_PRIVATE_BUT_TRAVERSABLE = 0o710
"""For root: the embedded server runs as another user, whose group must reach its directory."""
_OURS = frozenset({"dagster", "encryption.key", "start.lock"})
"""A home directory holds one of these once it was used."""
_NOT_OF_OTHERS = _OURS | {
    "logins",
    "logs",
    "lost+found",
    "postgres",
    "postgres.initializing",
    "postgres.lock",
}
"""What else it may hold at first, or a new volume may."""


class HomeNotPrivate(UserFacingError):
    """The home directory belongs to another user; the message says what to do."""


class HomeInUse(UserFacingError):
    """Others use the home directory for their files; the message says what to do."""


class HomeNotADirectory(UserFacingError):
    """A file is where the home directory should be; the message says what to do."""


def keep_files_private() -> None:
    """Restrict files that this process and its children create from now on to their owner."""
    os.umask(PRIVATE_UMASK)


def make_private(directory: Path) -> None:
    """Create a directory for its owner alone, or restrict an existing one.

    Raises:
        HomeNotADirectory: If it, or a directory that it is in, is a file.
        HomeNotPrivate: If another user owns it.
        HomeInUse: If it is open to others and holds their files.
        OSError: If it cannot be created for another reason.
    """
    try:
        directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise HomeNotADirectory(
            f"{directory} is not a directory: set PIMS_HOME to a directory, or remove the file "
            "that is in its place"
        ) from None
    close_to_others(directory)


def close_to_others(directory: Path) -> None:
    """Restrict a directory to its owner; do nothing if it does not exist, or is none.

    Raises:
        HomeNotPrivate: If another user owns it.
        HomeInUse: If it is open to others and holds their files: it may be the system's.
    """
    try:
        found = directory.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    # The mode of a device or a file in its place is not ours to change.
    if os.name != "posix" or not stat.S_ISDIR(found.st_mode):
        return
    if found.st_uid != os.geteuid():
        raise HomeNotPrivate(
            f"{directory} belongs to another user (number {found.st_uid}), who could change what "
            "is run here: run as that user, change its owner, or set PIMS_HOME to a directory of "
            "your own"
        )
    wanted = _PRIVATE_BUT_TRAVERSABLE if os.geteuid() == 0 else _PRIVATE
    mode = found.st_mode & 0o7777
    if mode & ~wanted:
        _check_that_it_is_ours(directory)
        directory.chmod(mode & wanted)


def _check_that_it_is_ours(directory: Path) -> None:
    names = {each.name for each in directory.iterdir()}
    if names - _NOT_OF_OTHERS and not names & _OURS:
        raise HomeInUse(
            f"{directory} holds files of others, who could no longer reach them: set PIMS_HOME to "
            "a directory of its own, or close this one yourself (chmod 700)"
        )
