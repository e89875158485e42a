"""Reads the change feed of a clinic, at once or when there is something to read.

A reader that waits has a slot of its own kind, so that readers, which wait nearly all the time,
leave the slots of waiting syncs free. Between two polls it holds no connection.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.errors import ApiError, ahead_of_feed
from pims_pipeline.api.syncs.waiting import WaitingRoom
from pims_pipeline.store.database.tenancy import clinic_transaction
from pims_pipeline.store.queries.changes import Change, changes_after, last_change

MOST_READERS = 64
"""Requests that may wait for a change at once; the server has a thread for each."""
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


class ChangeFeed:
    """Reads change feeds; one for each application.

    Args:
        context: The application's.
        room: The slots of waiting readers.
    """

    def __init__(self, context: ApiContext, room: WaitingRoom) -> None:
        self._context = context
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
        self, clinic_id: UUID, position: FeedPosition, seconds: int
    ) -> tuple[list[Change], bool]:
        """Wait until there is a change; return what ``read`` does, and whether it waited.

        Waits ``seconds`` at most, not at all without a free slot, and no longer once the process
        shuts down.
        """
        found: list[Change] = []
        with self._room.place() as has_room:
            if has_room:
                for _ in self._room.polls(seconds):
                    with clinic_transaction(self._context.engine, clinic_id) as connection:
                        found = self._changes(connection, clinic_id, position)
                    if found:
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
