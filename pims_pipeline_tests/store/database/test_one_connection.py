"""The check of connections notices what the program nests, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

import pims_pipeline
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.one_connection import Nested, one_connection_each

_NESTS = """
def nest(engine):
    with transaction(engine), transaction(engine):
        pass

def hold(engine, action):
    with transaction(engine):
        action()
"""


@pytest.fixture(autouse=True)
def _one_connection_each() -> None:
    """Switched off, since the check of every test would fail those of this module."""


def _programs(name: str) -> Any:
    """A function as if a module of the program defined it."""
    place = Path(pims_pipeline.__file__).parent / "sync" / "made_up.py"
    found: dict[str, Any] = {"transaction": transaction}
    exec(compile(_NESTS, str(place), "exec"), found)  # noqa: S102 - a text of ours
    return found[name]


def test_a_second_connection_of_the_program_is_refused(engine: Engine) -> None:
    nest = _programs("nest")
    with one_connection_each() as nested, pytest.raises(Nested):
        nest(engine)
    assert len(nested) == 1
    assert "made_up.py" in nested[0]
    with transaction(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_a_test_may_look_while_the_program_holds_one(engine: Engine) -> None:
    hold = _programs("hold")

    def look() -> None:
        with transaction(engine) as connection:
            connection.execute(text("SELECT 1"))

    with one_connection_each() as nested:
        hold(engine, look)
    assert nested == []


def test_a_test_may_call_the_program_while_the_program_calls_it(engine: Engine) -> None:
    hold = _programs("hold")
    with one_connection_each() as nested:
        hold(engine, lambda: hold(engine, lambda: None))
    assert nested == []
