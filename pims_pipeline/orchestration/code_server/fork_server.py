"""The fork server: a process from which runs are forked, with everything imported that they need.

Importing Dagster and this program takes longer than most syncs. The fork server has done it, and
nothing else: it has one thread, no connection, and no definitions. It is ``multiprocessing``'s, but
forked from this process, so that the two share their memory. If it dies, ``multiprocessing`` starts
another one when the next run starts. How a run is forked from it belongs in ``run_processes``.
"""

import gc
import os
import socket
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any, NoReturn

import psutil  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline.orchestration.code_server.waiting_threads import LIFELINE_THREAD

CAN_FORK = sys.platform == "linux"
"""Whether runs are forked. Other systems have libraries that start threads of their own."""
_PRIVATE = 0o600


def start_fork_server(modules: Sequence[str]) -> None:
    """Import the modules, and start the fork server, which has imported them too.

    Call it once, before this process starts threads or opens connections.
    """
    # A process that connects can execute anything. Python 3.11.0 would admit those of other users.
    util.abstract_sockets_supported = False  # type: ignore[misc]  # it is not final
    forkserver.set_forkserver_preload(list(modules))
    for name in modules:
        import_module(name)
    if _may_fork():
        _fork()
    else:
        forkserver.ensure_running()


def _may_fork() -> bool:
    """Whether a fork of this process is a fork server that ``multiprocessing`` can use."""
    if sys.version_info >= (3, 14):  # there is a key, too
        return False
    # A fork copies one thread, and the locks that others hold. Python does not list those of C.
    others = {each.name for each in threading.enumerate()} - {threading.current_thread().name}
    return others <= {LIFELINE_THREAD} and bool(
        psutil.Process().num_threads() == threading.active_count()
    )


def _fork() -> None:
    """Start the fork server as ``forkserver.ensure_running`` does, but by forking this process."""
    with socket.socket(socket.AF_UNIX) as listener:
        # In a directory that `multiprocessing` makes for this user, and removes. The process that
        # started this one may share it.
        address = Path(util.get_temp_dir()) / f"fork-server-{os.getpid()}"
        listener.bind(str(address))
        address.chmod(_PRIVATE)
        listener.listen()
        alive, keeps_alive = os.pipe()
        # Objects that no collection touches stay shared.
        gc.collect()
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            _serve(listener, alive, keeps_alive)
        os.close(alive)
    _make_known(str(address), keeps_alive, pid)


def _serve(listener: socket.socket, alive: int, keeps_alive: int) -> NoReturn:
    """Serve in the forked process until all processes that may fork from it have ended."""
    try:
        os.close(keeps_alive)
        forkserver.main(listener.detach(), alive, [])
    except Exception:  # noqa: BLE001 - shown; this process must not go on as its parent does
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _make_known(address: str, keeps_alive: int, pid: int) -> None:
    """Make it the fork server of ``multiprocessing``, which replaces it when it has died."""
    # Without these names, `multiprocessing` starts one of its own.
    server: Any = forkserver._forkserver  # noqa: SLF001 - as above
    server._forkserver_address = address  # noqa: SLF001 - as above
    server._forkserver_alive_fd = keeps_alive  # noqa: SLF001 - as above
    server._forkserver_pid = pid  # noqa: SLF001 - as above
