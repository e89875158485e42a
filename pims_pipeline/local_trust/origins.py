"""Whether a request is meant for this server and comes from one of its pages.

A browser sends requests to any address of its machine for any page, loopback included. But a page
cannot choose ``Host``, ``Origin`` or ``Sec-Fetch-Site``.

- ``Host`` must be a name of this server. Otherwise a page could point its own name to our address
  (DNS rebinding) and read the responses.
- ``Origin`` must be the address of the request. A page of another port of this machine is foreign.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_AUTHORITY = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#@\s]+)")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared only


class Authority(NamedTuple):
    """A host name or address, in lower case, and its port; None for the scheme's default."""

    name: str
    port: int | None


class Refusal(NamedTuple):
    """Why a request is refused: an HTTP status, and what the caller can do."""

    status: int
    reason: str


def parse_authority(text: str) -> Authority | None:
    """The host and port of a ``Host`` header or a setting; None if it is neither.

    Example:
        >>> parse_authority("Localhost:3000")
        Authority(name='localhost', port=3000)
    """
    found = _AUTHORITY.fullmatch(text.lower())
    if found is None:
        return None
    port = found["port"]
    return Authority(found["name"], None if port is None else int(port))


def parse_origin(text: str) -> Authority | None:
    """The host and port of an ``Origin`` header; None for ``null`` and other non-web origins.

    Example:
        >>> parse_origin("https://pims.example")
        Authority(name='pims.example', port=443)
    """
    found = _ORIGIN.fullmatch(text.lower())
    authority = None if found is None else parse_authority(found["authority"])
    if found is None or authority is None:
        return None
    return Authority(authority.name, authority.port or _DEFAULT_PORTS[found["scheme"]])


@dataclass(frozen=True, kw_only=True)
class OwnAddresses:
    """The names by which a server is reached.

    Attributes:
        authorities: Each name with each of its ports.
        any_address: Whether any IP address is accepted as ``Host``, with any port. DNS rebinding
            needs a name, and a server that listens on all addresses does not know them.
        trusted: Those of ``authorities`` that an operator configured: their pages are ours, even
            if a proxy replaced ``Host``.
    """

    authorities: frozenset[Authority]
    any_address: bool = False
    trusted: frozenset[Authority] = field(default_factory=frozenset)

    def is_host(self, host: str) -> bool:
        """Whether a ``Host`` header names this server."""
        authority = parse_authority(host)
        if authority is None:
            return False
        if self.any_address and _is_address(authority.name):
            return True
        return any(each in self.authorities for each in _with_port(authority))

    def is_origin(self, origin: str, host: str) -> bool:
        """Whether an ``Origin`` header names a page of this server, reached as ``host``."""
        page, server = parse_origin(origin), parse_authority(host)
        if page is None or server is None:
            return False
        return page in _with_port(server) or page in self.trusted


def own_addresses(
    host: str, port: int, names: Iterable[str] = (), *, any_address: bool | None = None
) -> OwnAddresses:
    """The addresses of a server that listens on ``host`` and ``port``.

    Args:
        host: The address it listens on.
        port: The port it listens on.
        names: Further names by which it is reached, as ``name`` (with the ports 80, 443 and
            ``port``) or ``name:port``.
        any_address: See ``OwnAddresses``; None means whether it listens on all addresses.
    """
    trusted = frozenset(
        each
        for name in names
        if (authority := parse_authority(name)) is not None
        for each in _with_port(authority, port)
    )
    bound = f"[{host}]" if ":" in host else host.lower()
    ours = frozenset(Authority(name, port) for name in (*_LOOPBACK_NAMES, bound))
    return OwnAddresses(
        authorities=ours | trusted,
        any_address=host in _WILDCARDS if any_address is None else any_address,
        trusted=trusted,
    )


def is_loopback(host: str) -> bool:
    """Whether an address or name is a loopback one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refuse_foreign(
    own: OwnAddresses,
    hosts: Sequence[str],
    origins: Sequence[str],
    *,
    trusted_origins: Iterable[str] = (),
) -> Refusal | None:
    """Why a request is refused because of its ``Host`` or ``Origin``; None if it is not.

    Args:
        own: The server's addresses.
        hosts: The values of the ``Host`` headers.
        origins: The values of the ``Origin`` headers.
        trusted_origins: Origins of other servers whose pages may call this one.
    """
    if len(hosts) != 1 or not own.is_host(hosts[0]):
        return Refusal(
            421,
            "The header Host does not name this server. Open it at the address that it printed "
            "when it started, or add the name to PIMS_ALLOWED_HOSTS.",
        )
    if not origins:
        return None
    if len(origins) == 1 and (
        origins[0] in set(trusted_origins) or own.is_origin(origins[0], hosts[0])
    ):
        return None
    return Refusal(
        403,
        "The header Origin names a page of another server. If that page may command this one, "
        "add its name to PIMS_ALLOWED_HOSTS.",
    )


def _with_port(authority: Authority, *ports: int) -> tuple[Authority, ...]:
    """The authority with its port; if it has none, with each default port and ``ports``."""
    if authority.port is not None:
        return (authority,)
    return tuple(Authority(authority.name, port) for port in (*_DEFAULT_PORTS.values(), *ports))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
