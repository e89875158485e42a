"""A store that stays open between its uses, such as the evaluations of Dagster's sensors.

Sensors are evaluated several times a minute. Opening the store for each, as a run does, costs more
than the evaluation: the embedded server is checked, a connection opened, and the migrations are
read.
"""

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.revision import revisions_of

_kept_stores: "weakref.WeakSet[KeptStore]" = weakref.WeakSet()


class KeptStore:
    """Opens a store at its first use, and again once it is no longer the one that was opened.

    Safe for threads. A forked process opens its own.
    """

    def __init__(self, open_store: Callable[[], AbstractContextManager[Engine]]) -> None:
        self._open_store = open_store
        self._begin()
        _kept_stores.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._engine: Engine | None = None
        self._revisions: list[str] = []

    def engine(self) -> Engine:
        """The store's engine, after one statement that proves it usable.

        Raises:
            UserFacingError: If the store cannot be opened.
        """
        with self._lock:
            if self._engine is None or not self._is_as_opened(self._engine):
                self._engine = None
                self._opened.close()
                engine = self._opened.enter_context(self._open_store())
                with transaction(engine) as connection:
                    self._revisions = revisions_of(connection)
                self._engine = engine
            return self._engine

    def forget(self) -> None:
        """Start over in a forked process, without closing the parent's connections."""
        if self._engine is not None:
            self._engine.dispose(close=False)
        self._begin()

    def _is_as_opened(self, engine: Engine) -> bool:
        """Whether the database can be reached, and was not migrated since."""
        try:
            with transaction(engine) as connection:
                return revisions_of(connection) == self._revisions
        except (UserFacingError, SQLAlchemyError):
            return False


def _forget_all() -> None:
    for store in list(_kept_stores):
        store.forget()


os.register_at_fork(after_in_child=_forget_all)
