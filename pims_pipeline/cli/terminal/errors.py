"""The message of a command that fails: one line that says what to do, never a traceback.

Imports nothing heavy, because ``pims --help`` loads it. Any error that is not a
``UserFacingError`` is reported as a fault of the program.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.observability.printable import printable


class Refused(click.ClickException):
    """The command cannot be done in the current state; exit status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message as one line on standard error."""
        message = " ".join(self.format_message().split())
        stream = file or sys.stderr
        stream.write(f"Error: {printable(message)}\n")
        stream.flush()


class Misused(Refused):
    """The arguments are wrong; exit status 2."""

    exit_code = 2


@contextmanager
def typed() -> Iterator[None]:
    """Turn a ``ValueError`` of the block into ``Misused``."""
    try:
        yield
    except ValueError as error:
        raise Misused(str(error)) from error


def misuse(error: click.UsageError) -> Misused:
    """Click's usage error, which takes four lines, in one line."""
    command = error.ctx.command_path if error.ctx else "pims"
    message = error.format_message().rstrip(".").replace("\n", "; ")
    return Misused(f"{message}; see `{command} --help`")


def explained(error: Exception) -> click.ClickException:
    """``error`` as the message that the user sees.

    Messages of our own errors are written for users. Other messages may quote data, so only the
    type of such an error is shown.
    """
    # Imported here: importing them at the top would slow down `pims --help`.
    from pims_pipeline.domain.adoption.clinics import UnknownV4Clinic  # noqa: PLC0415 - see above
    from pims_pipeline.settings import SettingsError  # noqa: PLC0415 - see above
    from pims_pipeline.store.api_keys import (  # noqa: PLC0415 - see above
        AmbiguousPrefix,
        UnknownApiKey,
    )
    from pims_pipeline.store.clinics import UnknownClinic  # noqa: PLC0415 - see above
    from pims_pipeline.store.failures import UnknownFailure  # noqa: PLC0415 - see above
    from pims_pipeline.store.holds import UnknownHold  # noqa: PLC0415 - see above
    from pims_pipeline.store.queries.case_history import UnknownCase  # noqa: PLC0415 - see above

    if isinstance(error, SettingsError):
        return Refused("; ".join(error.problems))
    unknown = (
        *(UnknownClinic, UnknownCase, UnknownHold, UnknownFailure, UnknownApiKey),
        UnknownV4Clinic,
        AmbiguousPrefix,
    )
    if isinstance(error, unknown):
        return Misused(str(error))
    if isinstance(error, UserFacingError):
        return Refused(str(error))
    if (reason := _refusal(error)) is not None:
        return Refused(reason)
    return Refused(
        f"the program failed unexpectedly ({type(error).__name__}); "
        "run the command again with LOG_LEVEL=DEBUG to see where"
    )


def _refusal(error: Exception) -> str | None:
    """Why the database refused a statement that Dagster sent; None for another error."""
    # A driver's error can only come from a process that has loaded SQLAlchemy.
    if "sqlalchemy" not in sys.modules:
        return None
    from pims_pipeline.store.database.conditions import explain  # noqa: PLC0415 - see above

    return explain(error)


def place_of(error: BaseException) -> str:
    """The tracebacks of ``error`` and its causes, without messages that may quote data."""
    tracebacks: list[str] = []
    each: BaseException | None = error
    while each is not None:
        message = f": {each}" if isinstance(each, UserFacingError) else ""
        tracebacks.append(
            "Traceback (most recent call last):\n"
            f"{''.join(traceback.format_tb(each.__traceback__))}{type(each).__name__}{message}"
        )
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "\n\nwhich was caused by:\n\n".join(tracebacks)
