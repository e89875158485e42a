"""Which variables of this process's environment the browser and its driver get.

The login page is remote content, and this process's environment holds keys and database
addresses. A process that a loop of ``bare_runner`` starts gets only the variables named here.
Add one when the browser or its driver needs it.
"""

import asyncio
import os
import resource
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
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

    async def subprocess_exec(self, *words: Any, env: Any = None, **options: Any) -> Any:
        """See asyncio. Playwright passes on this process's whole environment as ``env``."""
        given = driver_environment(os.environ if env is None else env, self.scratch)
        transport, protocol = await super().subprocess_exec(*words, env=given, **options)
        _forbid_core_dumps(transport.get_pid())
        return transport, protocol


@contextmanager
def bare_runner() -> Iterator[asyncio.Runner]:
    """Runs coroutines on a ``BareLoop``; its directory is removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="pims-login-", ignore_cleanup_errors=True) as scratch,
        asyncio.Runner(loop_factory=partial(BareLoop, Path(scratch))) as runner,
    ):
        yield runner


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
