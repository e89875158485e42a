"""Edits that happen while a client reads the calendar: each is made after a number of listings.

A calendar that changes between two pages is rare in life and decisive for what a listing proves, so
it is played on purpose. What an edit means belongs in ``calendar``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pims_pipeline.simulator.practice.calendar import Booking, Calendar, EditRefused
from pims_pipeline.simulator.practice.entries import Entry

PageAction = Literal["book", "move", "check-in", "cancel", "delete", "restore", "finish"]


@dataclass(slots=True)
class PageEdit:
    """One edit that waits.

    Attributes:
        after_pages: How many listings of the clinic are still to be served before it is made.
        entry_id: The record to edit; 0 for a booking.
        start: The naive clinic-local start of a booking or a move.
    """

    action: PageAction
    after_pages: int
    entry_id: int = 0
    start: datetime | None = None

    def make(self, calendar: Calendar) -> Entry:
        """Make the edit.

        Raises:
            EditRefused: If it is a booking or a move without a start.
        """
        edits: Mapping[PageAction, Callable[[], Entry]] = {
            "book": lambda: calendar.book(Booking(start=self._known_start())),
            "move": lambda: calendar.move(self.entry_id, self._known_start()),
            "check-in": lambda: calendar.check_in(self.entry_id),
            "cancel": lambda: calendar.cancel(self.entry_id),
            "delete": lambda: calendar.delete(self.entry_id),
            "restore": lambda: calendar.restore(self.entry_id),
            "finish": lambda: calendar.finish(self.entry_id),
        }
        return edits[self.action]()

    def _known_start(self) -> datetime:
        if self.start is None:
            raise EditRefused(f"{self.action} needs a start")
        return self.start


@dataclass(slots=True)
class PageEdits:
    """The edits of one clinic that wait, oldest first."""

    waiting: list[PageEdit] = field(default_factory=list)

    def note_page(self, calendar: Calendar) -> None:
        """Count a listing that was served, and make the edits that waited for it."""
        for edit in self.waiting:
            edit.after_pages -= 1
        due = [edit for edit in self.waiting if edit.after_pages <= 0]
        self.waiting = [edit for edit in self.waiting if edit.after_pages > 0]
        for edit in due:
            edit.make(calendar)
