"""What the log may have of an unexpected exception: its types and places."""

import traceback
from collections.abc import Iterator

_SHOWN_FRAMES = 12


def described(error: BaseException, *, with_message: bool = False) -> dict[str, str]:
    """Return the types and places of an exception.

    Args:
        error: The exception, as it was caught.
        with_message: Whether its message may be shown: only if users may see it.
    """
    fields = {"error": " from ".join(_kinds(error)), "where": _frames(error)}
    return {**fields, "reason": str(error)} if with_message else fields


def _kinds(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield type(error).__name__
        error = error.__cause__ or error.__context__


def _frames(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-_SHOWN_FRAMES:]
    return " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
