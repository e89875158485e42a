"""Secrets in files: ``NAME_FILE`` names a file that holds the value of the variable ``NAME``.

Container platforms mount secrets as files; a variable shows in ``docker inspect`` and is inherited
by every child. Which variables are secrets is decided in ``settings``. No problem here repeats a
path: the secret itself may have been pasted into the wrong variable.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

SUFFIX = "_FILE"
_MOST_BYTES = 65_536
"""More is no secret: a key, a token or an address takes a few hundred bytes."""


class SecretFiles(NamedTuple):
    """What the files of an environment hold.

    Attributes:
        values: The secrets, by the variables whose values they are; whitespace around is removed.
        problems: One sentence for each file that cannot be used.
    """

    values: Mapping[str, str]
    problems: tuple[str, ...]


class _UnusableFileError(Exception):
    """The file holds no secret; the text completes "the file …"."""


def file_variable(name: str) -> str:
    """The variable that names the file with the value of ``name``."""
    return f"{name}{SUFFIX}"


def read_secret_files(names: Iterable[str], environment: Mapping[str, str]) -> SecretFiles:
    """Read the file of each variable that has one.

    Args:
        names: The variables that may have a file.
        environment: The variables of the process; an empty one counts as unset.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for name, path in _named_files(names, environment):
        if environment.get(name):
            problems.append(f"{name} and {file_variable(name)} are both set; remove one of them")
            continue
        try:
            values[name] = _secret_of(path)
        except _UnusableFileError as problem:
            problems.append(
                f"{file_variable(name)} must be the path of a file that holds the value of "
                f"{name}; the file {problem}"
            )
    return SecretFiles(values, tuple(problems))


def files_open_to_all(names: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The variables whose files every user of the machine may read."""
    return tuple(
        file_variable(name)
        for name, path in _named_files(names, environment)
        if _is_open_to_all(path)
    )


def without_replaced_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the file of any variable that has a value.

    For a process that starts another one with a value of its own.
    """
    replaced = {file_variable(name) for name, value in environment.items() if value}
    return {name: value for name, value in environment.items() if name not in replaced}


def _named_files(
    names: Iterable[str], environment: Mapping[str, str]
) -> Iterable[tuple[str, Path]]:
    return (
        (name, Path(path)) for name in sorted(names) if (path := environment.get(f"{name}{SUFFIX}"))
    )


def _secret_of(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # To open a pipe is to wait for its writer.
            raise _UnusableFileError("is not a regular file")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        problem = "does not exist"
    except PermissionError:
        problem = "may not be read by this user"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    else:
        return _text_of(content)
    # Raised outside the handlers, whose errors name the path.
    raise _UnusableFileError(problem)


def _text_of(content: bytes) -> str:
    if len(content) > _MOST_BYTES:
        raise _UnusableFileError(f"has more than {_MOST_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise _UnusableFileError("is not UTF-8 text")
    if not text:
        raise _UnusableFileError("is empty")
    return text


def _is_open_to_all(path: Path) -> bool:
    try:
        return os.name == "posix" and bool(path.stat().st_mode & stat.S_IROTH)
    except (OSError, ValueError):
        return False
