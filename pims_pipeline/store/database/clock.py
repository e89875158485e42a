"""The database's clock, compared with this host's.

The database's clock is the one that all hosts share, so it decides which one is wrong. The limit
and the message are in ``pims_pipeline.domain.moments``.
"""

from datetime import UTC, datetime

from sqlalchemy import Engine, func, select

from pims_pipeline.domain.moments import ClockReading
from pims_pipeline.store.database.engine import transaction


def utc_now() -> datetime:
    """The time by this host's clock, aware UTC."""
    return datetime.now(UTC)


def read_clock(engine: Engine) -> ClockReading:
    """The database's clock between two readings of this host's.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    with transaction(engine) as connection:
        # The transaction has begun, so this measures one round trip.
        before = utc_now()
        # now() is when the transaction began.
        database: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        after = utc_now()
    return ClockReading(before=before, database=database.astimezone(UTC), after=after)


def check_clock(engine: Engine) -> datetime:
    """The present time, aware UTC, once this host's clock and the database's agree.

    Call it once before a run, or before anything else that writes times.

    Raises:
        WrongClock: If they are too far apart; nothing may be written then.
        DatabaseUnavailable: If the database cannot be reached.
    """
    reading = read_clock(engine)
    reading.check()
    return reading.after
