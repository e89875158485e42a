"""A guard: no thread of the program takes a second connection while it holds one.

With a small pool, threads that each hold one connection and wait for a second deadlock. Tests may
nest connections: only those that the program's own code opens count.
"""

import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psycopg
from sqlalchemy import event
from sqlalchemy.pool import Pool

import pims_pipeline
from pims_pipeline.store.database import engine, retries, tenancy

_PROGRAM = f"{Path(pims_pipeline.__file__).parent}{os.sep}"
_TESTS = f"{Path(__file__).parent}{os.sep}"
_CONNECTING = {module.__file__ for module in (engine, retries, tenancy)}
"""Modules through which tests connect too; a frame of theirs is not yet the program's work."""


class Nested(BaseException):
    """A thread of the program took a second connection."""


def _tests_above() -> int | None:
    """How many frames of tests led the program to connect; None when a test connects itself."""
    frame: FrameType | None = sys._getframe()
    is_program = False
    tests = 0
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_TESTS) and path != __file__:
            if not is_program:
                return None
            tests += 1
        elif path.startswith(_PROGRAM) and path not in _CONNECTING:
            is_program = True
        frame = frame.f_back
    return tests if is_program else None


@contextmanager
def one_connection_each() -> Iterator[list[str]]:
    """Refuse second connections during the block; yields the stack of each attempt."""
    held: dict[int, dict[int, int]] = {}
    nested: list[str] = []

    def take(connection: object, record: object, _: object) -> None:
        tests = _tests_above() if isinstance(connection, psycopg.Connection) else None
        if tests is None:
            return
        mine = held.setdefault(threading.get_ident(), {})
        # A test hook that the program called may call the program, as another process would.
        if mine and tests <= max(mine.values()):
            nested.append("".join(traceback.format_stack(limit=40)))
            raise Nested
        mine[id(record)] = tests

    def give_back(_: object, record: object) -> None:
        # Another thread returns a broken connection of a thread that has ended.
        for mine in held.values():
            mine.pop(id(record), None)

    event.listen(Pool, "checkout", take)
    event.listen(Pool, "checkin", give_back)
    try:
        yield nested
    finally:
        event.remove(Pool, "checkout", take)
        event.remove(Pool, "checkin", give_back)
