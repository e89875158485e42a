"""The addresses on which the servers of ``pims up`` listen."""

import socket
from typing import NamedTuple

from pims_pipeline.cli.terminal.errors import Refused

_LOOPBACK = "127.0.0.1"
_SIMULATOR_PORT = 8400


class Address(NamedTuple):
    """The host and port on which a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The URL for a browser on this machine."""
        host = _LOOPBACK if self.host == "0.0.0.0" else self.host  # noqa: S104 - compared only
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def graphql_url(self) -> str:
        """The URL of Dagster's GraphQL API, if the Dagster UI is at this address."""
        return f"{self.url}/graphql"


def check_free(address: Address, option: str) -> None:
    """Check that a server can listen on ``address``.

    Args:
        address: The host and port.
        option: The option that chose the port, for the error message.

    Raises:
        Refused: If the port is in use, or the host is not this machine's.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Refused(f"--host {address.host} is not an address of this machine") from error
    family, kind, protocol, _, where = found[0]
    with socket.socket(family, kind, protocol) as probe:
        # As the webserver does: connections that just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
            probe.listen()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise Refused(
                f"port {address.port} on {address.host} cannot be used ({reason}): stop what "
                f"listens there, or choose another with {option}"
            ) from error


def simulator_address() -> Address:
    """The simulator's usual port if it is free, otherwise any free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, _SIMULATOR_PORT))
            probe.listen()
        except OSError:
            return _any_free_address()
        return Address(_LOOPBACK, _SIMULATOR_PORT)


def _any_free_address() -> Address:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return Address(_LOOPBACK, probe.getsockname()[1])
