"""``pims part check``: whether a part on this machine responds.

Health checks run it several times a minute in each container, so it imports next to nothing.
"""

import click

from pims_pipeline.cli.ports import API_PORT, CODE_PORT, UI_PORT
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.orchestration.parts import (
    code_server_responds,
    daemon_beat,
    daemon_is_alive,
    web_server_responds,
)

_PATHS = {"api": "/health", "webserver": "/server_info"}
_PORTS = {"api": API_PORT, "webserver": UI_PORT, "code-server": CODE_PORT}


@click.command(epilog="\b\nExamples:\n  pims part check webserver\n  pims part check api --port 80")
@click.argument(
    "name", type=click.Choice(("api", "code-server", "daemon", "webserver")), default="api"
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    show_default="that of the part",
    help="The port at which it listens; the daemon has none.",
)
def check(name: str, port: int | None) -> None:
    """Exit with status 0 if a part on this machine responds, else with 1.

    NAME is api, code-server, daemon or webserver; without it, the API is checked.
    """
    if not _responds(name, port or _PORTS.get(name, 0)):
        raise Refused(f"the part {name} does not respond; its log says why")


def _responds(name: str, port: int) -> bool:
    if name == "daemon":
        from pims_pipeline.settings import load_settings  # noqa: PLC0415 - the others need none

        return daemon_is_alive(daemon_beat(load_settings().home))
    if name == "code-server":
        return code_server_responds(port)
    return web_server_responds(port, _PATHS[name])
