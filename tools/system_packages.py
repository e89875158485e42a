"""Install a program with the system's package manager; used by the scripts in this folder.

Installs only as root or where sudo needs no password, and never prompts.
"""  # noqa: INP001 - a script's part, not part of a package

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

INSTALL_SECONDS = 600

_AS_IS: Mapping[str, str] = {}
_UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive"}
_MANAGERS: Mapping[str, Sequence[Sequence[str]]] = {
    "apt-get": (("update",), ("install", "--yes", "--no-install-recommends")),
    "dnf": (("install", "--assumeyes"),),
    "apk": (("add",),),
}
_ADDS = frozenset({"install", "add"})


def runs(command: Sequence[str], *, seconds: int, extra: Mapping[str, str] = _AS_IS) -> bool:
    """Whether ``command`` exits with 0 within ``seconds``; its output is dropped."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands, found on the user's own path
            command,
            env={**os.environ, **extra},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def install(package: str, *, brew: Sequence[str]) -> None:
    """Install ``package`` if possible; ``brew`` holds the arguments of ``brew install``."""
    if shutil.which("brew"):
        print(f"Installing {package} with brew", flush=True)  # noqa: T201 - a script
        runs(["brew", "install", *brew], seconds=INSTALL_SECONDS)
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    if sudo and not runs([*sudo, "true"], seconds=10):
        return
    for manager, steps in _MANAGERS.items():
        if shutil.which(manager):
            print(f"Installing {package} with {manager}", flush=True)  # noqa: T201 - a script
            for step in steps:
                command = [*step, package] if step[0] in _ADDS else step
                runs([*sudo, manager, *command], seconds=INSTALL_SECONDS, extra=_UNATTENDED)
            return
