"""Cron expressions: reading and checking them.

The times that an expression means in a time zone belong in ``ticks``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.schedules import OFF

MAX_CRON_LENGTH = 200
"""The greatest number of characters of an expression."""

_FIELDS = 5
_SHOWN = 40
_MINUTE = timedelta(minutes=1)
_ANY_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall clock's time has no zone


class BadCron(UserFacingError, ValueError):
    """The text is not a cron expression, or names a minute that never comes."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A valid cron expression; use ``parse_cron`` to make one.

    Attributes:
        text: In capitals, its five fields separated by single spaces.
    """

    text: str

    def up_to(self, local: datetime) -> Iterator[datetime]:
        """The minutes it names, backwards from that of ``local`` (naive)."""
        return CronSim(self.text, _minute_of(local) + _MINUTE, reverse=True)

    def after(self, local: datetime) -> Iterator[datetime]:
        """The minutes it names after that of ``local`` (naive)."""
        return CronSim(self.text, _minute_of(local))


def parse_cron(text: str) -> Cron:
    """Parse a cron expression: minute, hour, day of the month, month, day of the week.

    Each field is ``*``, a number, a range, a list or a step. Months and days of the week may be
    English names. ``L`` is the last day of the month, ``FRI#1`` the month's first Friday. If both
    days of the month and of the week are given, either matches.

    Raises:
        BadCron: If the expression is invalid; its message names the field.
    """
    if len(text) > MAX_CRON_LENGTH:
        raise BadCron(f"{_shown(text)} has more than {MAX_CRON_LENGTH} characters")
    return _parsed(" ".join(text.upper().split()), text)


@lru_cache(maxsize=10_000)
def _parsed(normal: str, text: str) -> Cron:
    if len(normal.split()) != _FIELDS:
        raise BadCron(
            f"{_shown(text)} is not a cron expression of five fields (minute, hour, day of the "
            'month, month, day of the week), such as "*/15 * * * *"'
        )
    try:
        next(CronSim(normal, _ANY_DAY))
    except CronSimError as error:
        field = str(error).removeprefix("Bad ").replace("-", " ")
        wrong = "is invalid, or never comes" if field == "day of month" else "is invalid"
        raise BadCron(f"{_shown(text)} is not a cron expression: its {field} {wrong}") from None
    except StopIteration:
        raise BadCron(f"{_shown(text)} names no minute of the next fifty years") from None
    return Cron(normal)


def parse_schedule(text: str) -> Cron | None:
    """A phase's stored schedule: its cron expression, or None for ``off``.

    Raises:
        BadCron: If the text is neither.
    """
    return None if text.strip().lower() == OFF else parse_cron(text)


def _minute_of(local: datetime) -> datetime:
    return local.replace(second=0, microsecond=0)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
