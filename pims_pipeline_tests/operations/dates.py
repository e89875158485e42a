"""The dates of the tests."""

from datetime import UTC, date, datetime

TODAY = datetime.now(UTC).date()
EARLIEST = date(2020, 1, 1)
