"""The organisation's appointment types, fetched once for a session."""

import threading
from collections.abc import Callable, Collection

from pims_pipeline.domain.records.shapes import Shapes, combined
from pims_pipeline.providers.vetspire.parsing.types import NO_TYPES, TypeBook


class TypeCache:
    """Appointment types; may be used by several threads at once."""

    def __init__(self, fetch: Callable[[], TypeBook]) -> None:
        """``fetch`` sends the query; nothing is sent yet."""
        self._fetch = fetch
        self._lock = threading.Lock()
        self._book = NO_TYPES
        self._asked_for: frozenset[str] = frozenset()
        self._shapes: Shapes = ()

    def book_for(self, identities: Collection[str]) -> TypeBook:
        """The types, fetched again if one of ``identities`` is new since the last time.

        Raises:
            PimsError: If they cannot be fetched: a block might become a case.
        """
        with self._lock:
            unknown = {each for each in identities if not self._book.knows(each)}
            if not unknown <= self._asked_for:
                self._fetch_book()
                self._asked_for |= unknown
            return self._book

    def book(self) -> TypeBook:
        """The types as they are now.

        Raises:
            PimsError: If they cannot be fetched.
        """
        with self._lock:
            self._fetch_book()
            return self._book

    def take_shapes(self) -> Shapes:
        """The shapes of the responses since the last call, which thus count once."""
        with self._lock:
            taken, self._shapes = self._shapes, ()
            return taken

    def _fetch_book(self) -> None:
        self._book = self._fetch()
        self._shapes = combined((*self._shapes, *self._book.shapes))
