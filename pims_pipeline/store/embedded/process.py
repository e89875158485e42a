"""The embedded server's processes: their environment, and those that are left over.

``server`` starts the server; ``postgres`` runs its programs.
"""

import os
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it carries no types

STOP_SECONDS = 2
"""How long a process may take to end before it is killed."""
_ENVIRONMENT = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"})


def server_environment() -> dict[str, str]:
    """The server's environment: no secret, and nothing that changes how it starts."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _ENVIRONMENT or name.startswith("LC_")
    }
    return {"PATH": os.defpath, **kept}


def end_servers_of(data: Path) -> None:
    """End servers of a data directory that was deleted while they ran."""
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] != "postgres" or str(data) not in (process.info["cmdline"] or ()):
            continue
        with suppress(psutil.NoSuchProcess):
            process.terminate()
            for left in psutil.wait_procs([process], timeout=STOP_SECONDS)[1]:
                left.kill()


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        # Containers often have no init process: a zombie keeps its number.
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def has_processes_of(data: Path) -> bool:
    """Whether processes of an earlier, killed server still work on a data directory."""
    for process in psutil.process_iter(["name"]):
        try:
            if "postgres" in process.info["name"] and process.cwd() == str(data):
                return True
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return False
