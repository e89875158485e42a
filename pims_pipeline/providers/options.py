"""How adapters go about their work: how a browser logs in, and how requests are made.

Plain values, which the composition root makes of the settings. Add what any adapter may
have to obey; what only one vendor needs is a constant of its adapter. All times are in
seconds.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOptions:
    """How a browser logs in.

    Attributes:
        artifacts_dir: Where screenshots of failed logins are kept.
        chromium_path: The browser; searched for when None.
        headless: False shows the browser's window.
        sandbox: False starts the browser without its sandbox; root never has it.
        timeout: For the browser's start, and again for everything on its pages.
        at_once: How many logins this process runs at once; others wait for their turn.
    """

    artifacts_dir: Path
    chromium_path: Path | None = None
    headless: bool = True
    sandbox: bool = True
    timeout: float = 30.0
    at_once: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """How requests are made.

    Attributes:
        per_second: The most that one vendor account is asked, by the whole process; the adapter's
            own default when None.
        retry_base_delay: Before the second try; doubles with each further one.
        connect_timeout: For a connection.
        read_timeout: For each silence of the vendor's within a request.
        total_timeout: For each whole request, from the connection to the last byte.
    """

    per_second: float | None = None
    retry_base_delay: float = 0.5
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    total_timeout: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """What every adapter is built with, besides its clinic."""

    login: LoginOptions
    requests: RequestOptions = RequestOptions()
