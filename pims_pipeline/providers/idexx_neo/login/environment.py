"""Which variables of this process's environment the browser and its driver get.

The login page is remote content, and this process's environment holds keys and database
addresses. A process that a loop of ``bare_runner`` starts gets only the variables named here.
Add one when the browser or its driver needs it.
"""

import asyncio
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_FOR_ALL = ("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "FONTCONFIG_FILE")
_FOR_THE_DRIVER = (
    # The driver finds Playwright's own browsers below them.
    "HOME",
    "XDG_CACHE_HOME",
    "PLAYWRIGHT_BROWSERS_PATH",
    # Playwright sets these itself: which language it is used from.
    "PW_LANG_NAME",
    "PW_LANG_NAME_VERSION",
    "PW_CLI_DISPLAY_VERSION",
)
_FOR_A_WINDOW = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class BareLoop(asyncio.SelectorEventLoop):
    """An event loop whose child processes get the driver's environment and write no core dump.

    Attributes:
        scratch: A directory of this loop alone, for temporary files and the browser's home.
    """

    def __init__(self, scratch: Path) -> None:
        super().__init__()
        self.scratch = scratch
        self._drivers: list[asyncio.SubprocessTransport] = []
        self._started: set[Any] = set()

    async def subprocess_exec(self, *words: Any, env: Any = None, **options: Any) -> Any:
        """See asyncio. Playwright passes on this process's whole environment as ``env``."""
        given = driver_environment(os.environ if env is None else env, self.scratch)
        transport, protocol = await super().subprocess_exec(*words, env=given, **options)
        _forbid_core_dumps(transport.get_pid())
        self._drivers.append(transport)
        self.note_processes()
        return transport, protocol

    @property
    def driver_has_ended(self) -> bool:
        """Whether a process that this loop started has ended."""
        return any(driver.get_returncode() is not None for driver in self._drivers)

    def note_processes(self) -> None:
        """Remember the processes that run now, so that ``kill_leftovers`` finds them later."""
        import psutil  # type: ignore[import-untyped] # noqa: PLC0415 - no warm sync needs it

        for driver in self._drivers:
            with suppress(psutil.Error):
                process = psutil.Process(driver.get_pid())
                self._started |= {process, *process.children(recursive=True)}

    def kill_leftovers(self) -> None:
        """Kill the remembered processes that still run, because they did not end when asked to."""
        import psutil  # noqa: PLC0415 - as above

        for process in self._started:
            with suppress(psutil.Error):
                process.kill()

    def abandon(self) -> None:
        """In a forked child: close its copies of the pipes, by which the parent's driver ends."""
        for driver in self._drivers:
            for descriptor in (0, 1):
                pipe = driver.get_pipe_transport(descriptor)
                if pipe is not None:
                    pipe.get_extra_info("pipe").close()


@contextmanager
def bare_runner() -> Iterator[asyncio.Runner]:
    """Runs coroutines on a ``BareLoop``.

    At the end its directory is removed, and so is every process that it started.
    """
    # Not TemporaryDirectory: a forked child would remove it when that exits.
    scratch = Path(tempfile.mkdtemp(prefix="pims-login-"))
    loop = BareLoop(scratch)
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            try:
                yield runner
            finally:
                loop.note_processes()
    finally:
        loop.kill_leftovers()
        shutil.rmtree(scratch, ignore_errors=True)


def driver_environment(ours: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """What Playwright's driver gets of ``ours``; temporary files go to ``scratch``."""
    return {**_named(ours, *_FOR_ALL, *_FOR_THE_DRIVER), "TMPDIR": str(scratch)}


def browser_environment(
    ours: Mapping[str, str], scratch: Path, *, headless: bool
) -> dict[str, str | float | bool]:
    """What Chromium gets of ``ours``; its home and temporary files lie in ``scratch``.

    Proxies lose the user and password that they may carry: Chromium does not use them.
    """
    proxies = {
        name: _without_user(value)
        for name, value in ours.items()
        if name.lower() in _PROXIES and value
    }
    bypass = {name: value for name, value in ours.items() if name.lower() == "no_proxy"}
    window = {} if headless else _window(ours)
    home = {"HOME": str(scratch), "TMPDIR": str(scratch)}
    return {**_named(ours, *_FOR_ALL), **proxies, **bypass, **window, **home}


def _named(ours: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in ours.items() if name in names or name.startswith("LC_")}


def _window(ours: Mapping[str, str]) -> dict[str, str]:
    """The variables that a window needs; X looks for its key in the user's own home."""
    key = Path(ours.get("HOME", "/")) / ".Xauthority"
    found = {"XAUTHORITY": str(key)} if key.is_file() else {}
    return {**found, **_named(ours, *_FOR_A_WINDOW)}


def _without_user(proxy: str) -> str:
    scheme, separator, rest = proxy.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _forbid_core_dumps(process_id: int | None) -> None:
    """Forbid core dumps, which would hold what is typed. Child processes inherit the limit."""
    if sys.platform != "linux" or process_id is None:
        return  # other systems cannot limit another process
    try:
        resource.prlimit(process_id, resource.RLIMIT_CORE, (0, 0))
    except (ProcessLookupError, PermissionError):
        # It has ended, or a container forbids it; the login goes on.
        return
