"""Holds that no thread of ours takes a second connection while it holds one.

With few connections, threads that hold one and wait for a second wait for each other for ever.
Tests may nest as they like: only what the program itself does counts.
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

_PROGRAM = f"{Path(pims_pipeline.__file__).parent}{os.sep}"
_TESTS = f"{Path(__file__).parent}{os.sep}"
_WAY_TO_THE_DATABASE = tuple(
    str(Path(_PROGRAM, "store", "database", f"{name}.py"))
    for name in ("engine", "migrate", "dagster_schema", "tenancy", "retries")
)


class Nested(BaseException):
    """A thread of the program took a second connection."""


def _tests_above() -> int | None:
    """How many frames of tests lead to the program's wish for a connection; None for a test's."""
    frame: FrameType | None = sys._getframe()
    is_the_programs = False
    tests = 0
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_TESTS) and path != __file__:
            if not is_the_programs:
                return None
            tests += 1
        elif path.startswith(_PROGRAM) and path not in _WAY_TO_THE_DATABASE:
            is_the_programs = True
        frame = frame.f_back
    return tests if is_the_programs else None


@contextmanager
def one_connection_each() -> Iterator[list[str]]:
    """Refuse second connections while the block runs; gives where they were asked for."""
    held: dict[int, dict[int, int]] = {}
    nested: list[str] = []

    def take(connection: object, record: object, _: object) -> None:
        tests = _tests_above() if isinstance(connection, psycopg.Connection) else None
        if tests is None:
            return
        mine = held.setdefault(threading.get_ident(), {})
        # A test that the program called may call it in turn, as another process would.
        if mine and tests <= max(mine.values()):
            nested.append("".join(traceback.format_stack(limit=40)))
            raise Nested
        mine[id(record)] = tests

    def give_back(_: object, record: object) -> None:
        # A connection that broke in a thread that ended is given back by another.
        for mine in held.values():
            mine.pop(id(record), None)

    event.listen(Pool, "checkout", take)
    event.listen(Pool, "checkin", give_back)
    try:
        yield nested
    finally:
        event.remove(Pool, "checkout", take)
        event.remove(Pool, "checkin", give_back)
