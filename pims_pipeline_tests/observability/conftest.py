"""Restores logging after each test, and starts stand-ins of services."""

import logging
from collections.abc import Iterator

import pytest

from pims_pipeline.observability.logging import Sink
from pims_pipeline_tests.observability.stand_ins import Axiom, serving


@pytest.fixture(autouse=True)
def _logging_left_as_found() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    for handler in root.handlers:
        if handler not in handlers:
            handler.end() if isinstance(handler, Sink) else handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to this machine bypass the proxy of the environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def axiom() -> Iterator[Axiom]:
    stand_in = Axiom(token="xaat-made-up-0123456789")
    with serving(stand_in):
        yield stand_in
