"""What a person reads when a command fails: one line that says what to do, never a traceback.

Imports nothing heavy: ``pims --help`` loads it. An error that is no ``UserFacingError`` is called
a fault of the program.
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
    """The command cannot be done as things stand; exit status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message as one line on standard error."""
        message = " ".join(self.format_message().split())
        stream = file or sys.stderr
        stream.write(f"Error: {printable(message)}\n")
        stream.flush()


class Misused(Refused):
    """What was typed cannot be meant; exit status 2."""

    exit_code = 2


@contextmanager
def typed() -> Iterator[None]:
    """Within, a ``ValueError`` is about what was typed."""
    try:
        yield
    except ValueError as error:
        raise Misused(str(error)) from error


def misuse(error: click.UsageError) -> Misused:
    """Click's complaint, which takes four lines, in one."""
    command = error.ctx.command_path if error.ctx else "pims"
    message = error.format_message().rstrip(".").replace("\n", "; ")
    return Misused(f"{message}; see `{command} --help`")


def explained(error: Exception) -> click.ClickException:
    """``error`` for a person.

    Messages of our own errors are made to be shown; others may quote what they stumbled
    over, so that only their kind is told.
    """
    # Known errors come from the modules that raise them: whoever gets one has loaded them.
    from pims_pipeline.settings import SettingsError  # noqa: PLC0415 - see above
    from pims_pipeline.store.clinics import UnknownClinic  # noqa: PLC0415 - see above
    from pims_pipeline.store.queries.case_history import UnknownCase  # noqa: PLC0415 - see above

    if isinstance(error, SettingsError):
        return Refused("; ".join(error.problems))
    if isinstance(error, (UnknownClinic, UnknownCase)):
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
    """What the database refused for, where Dagster asked it and not we."""
    # Whoever gets a driver's error has loaded SQLAlchemy.
    if "sqlalchemy" not in sys.modules:
        return None
    from pims_pipeline.store.database.conditions import explain  # noqa: PLC0415 - see above

    return explain(error)


def place_of(error: BaseException) -> str:
    """Where ``error`` and what led to it arose, without words that may quote what they met."""
    told: list[str] = []
    each: BaseException | None = error
    while each is not None:
        words = f": {each}" if isinstance(each, UserFacingError) else ""
        told.append(
            "Traceback (most recent call last):\n"
            f"{''.join(traceback.format_tb(each.__traceback__))}{type(each).__name__}{words}"
        )
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "\n\nwhich came of:\n\n".join(told)
