"""The checks in the process of the Dagster UI and the daemon."""

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pims_pipeline.orchestration import ui_server
from pims_pipeline.orchestration._dagster_private import DaemonThreads
from pims_pipeline.orchestration.ui_server import CodeServer
from pims_pipeline_tests.providers.stopping import eventually

if TYPE_CHECKING:
    import uvicorn


def test_a_thread_of_the_daemon_that_ended_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ui_server, "CHECK_SECONDS", 0.01)
    alive = SimpleNamespace(all_alive=lambda: not (tmp_path / "ended").exists())
    server = SimpleNamespace(should_exit=False)
    code_server = CodeServer(*(tmp_path / each for each in ("socket", "asked", "seen")))

    checks = ui_server._checks(
        cast("DaemonThreads", alive), code_server, cast("uvicorn.Server", server)
    )
    checks.__enter__()
    (tmp_path / "ended").touch()
    eventually(lambda: bool(server.should_exit))
    with pytest.raises(RuntimeError, match="a thread of Dagster's daemon ended"):
        checks.__exit__(None, None, None)
