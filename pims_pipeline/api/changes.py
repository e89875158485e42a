"""Reads the change feed of a clinic, at once or when there is something to read.

A reader that waits has a slot of its own kind, so that readers, which wait nearly all the time,
leave the slots of waiting syncs free. Between two polls it holds no connection. Each poll checks
the key again, and whether the client is still there: a slot is free as soon as its client leaves.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.api.errors import ApiError, ahead_of_feed
from pims_pipeline.api.syncs.waiting import WaitingRoom
from pims_pipeline.store.queries.changes import Change, changes_after, last_change

MOST_READERS = 64
"""Requests that may wait for a change at once; the server has a thread for each."""
MOST_READERS_EACH = 16
"""The same of one clinic, so that its readers leave others some."""
MOST_VALUES = 100
"""Changes of a page with values: a consultation may have a hundred kilobytes."""


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """Where to read on, and how much.

    Attributes:
        after: The number of the last change that was read; 0 for none.
        limit: The most changes.
        values: Whether to read values.
    """

    after: int
    limit: int
    values: bool


class WaitingReader(Protocol):
    """The client of a request that waits."""

    def still_permitted(self) -> AbstractContextManager[Connection]:
        """A transaction of its clinic; raises ``ApiError`` if it may read no more."""

    def has_left(self) -> bool:
        """Whether it does not wait any more."""


class ChangeFeed:
    """Reads change feeds; one for each application.

    Args:
        room: The slots of waiting readers.
    """

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room

    def read(self, connection: Connection, clinic_id: UUID, position: FeedPosition) -> list[Change]:
        """Return the next changes, and one more than the limit if there are more.

        Raises:
            ApiError: 409, if the position is later than any change that was ever written.
        """
        found = self._changes(connection, clinic_id, position)
        if not found and position.after > (last := last_change(connection)):
            raise ApiError(409, ahead_of_feed(last))
        return found

    def wait(
        self, reader: WaitingReader, clinic_id: UUID, position: FeedPosition, seconds: int
    ) -> tuple[list[Change], bool]:
        """Wait until there is a change; return what ``read`` does, and whether it waited.

        Waits ``seconds`` at most, not at all without a free slot, and no longer once the process
        shuts down or the client has left.

        Raises:
            ApiError: If the key was revoked, has expired or permits less than when it began.
        """
        found: list[Change] = []
        with self._room.place(clinic_id) as has_room:
            if has_room:
                for _ in self._room.polls(seconds):
                    if reader.has_left():
                        break
                    with reader.still_permitted() as connection:
                        found = self._changes(connection, clinic_id, position)
                    if found:
                        # The key may have been taken away in the moment before the change.
                        with reader.still_permitted():
                            break
        return found, has_room

    @staticmethod
    def _changes(connection: Connection, clinic_id: UUID, position: FeedPosition) -> list[Change]:
        return changes_after(
            connection,
            clinic_id,
            position.after,
            limit=position.limit + 1,
            values=position.values,
        )
