"""Where webhooks may be: which addresses they may have, and what those may lead to."""

import re
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from urllib.parse import SplitResult, urlsplit

from pims_pipeline.domain.errors import UserFacingError

LONGEST_URL = 2000
_NOT_IN_URLS = re.compile(r'[\x00-\x20\x7f"<>\\^`{|}]')
Network = IPv4Network | IPv6Network
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("3fff::/20"),
)
"""Networks for special purposes that not every version of Python knows."""


class BadWebhookUrl(UserFacingError, ValueError):
    """An address that no webhook may have. The message does not quote it."""


def checked_url(text: str, *, plain_allowed: bool) -> str:
    """The address, if a webhook may have it; the address that its name has is checked later.

    Args:
        text: As entered.
        plain_allowed: Whether ``http`` is allowed, for receivers in networks of the operator's.

    Raises:
        BadWebhookUrl: If it is not an ``https`` address, or holds a user name or a fragment.
    """
    parts = _parts(text)
    if parts is None:
        raise BadWebhookUrl(
            "a webhook's address is a web address such as https://app.example/hooks, of "
            f"{LONGEST_URL} ASCII characters at most"
        )
    if parts.scheme != "https" and not (plain_allowed and parts.scheme == "http"):
        raise BadWebhookUrl(
            "a webhook's address begins with https://; http:// is for receivers in "
            "PIMS_WEBHOOK_ALLOWED_NETWORKS only"
        )
    if "@" in parts.netloc or "#" in text:
        raise BadWebhookUrl("a webhook's address has neither a user name nor a #fragment")
    return text


def shown_url(url: str) -> str:
    """A webhook's address as it may be shown: without its query, which may hold a token.

    >>> shown_url("https://app.example/hooks?token=7")
    'https://app.example/hooks?…'
    """
    start, mark, _ = url.partition("?")
    return f"{start}?…" if mark else start


def _parts(text: str) -> SplitResult | None:
    """The parts of a web address; None if it is none."""
    if len(text) > LONGEST_URL or not text.isascii() or _NOT_IN_URLS.search(text):
        return None
    try:
        parts = urlsplit(text)
        is_complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_complete else None


def may_be_called(address: str, allowed: Sequence[Network], *, only_allowed: bool = False) -> bool:
    """Whether a webhook may be at that address of the network.

    Public addresses are, and those in ``allowed``. All others are refused: those of this machine,
    of private networks and of the link, where servers trust their callers.

    Args:
        address: As the name lookup gave it.
        allowed: The operator's exceptions.
        only_allowed: Whether public addresses are refused as well.
    """
    try:
        # A zone such as %eth0 is of the link.
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if _is_in(found, allowed):
        return True
    return all(
        _is_in(each, allowed) or (not only_allowed and _is_public(each))
        for each in _embedded(found) or (found,)
    )


def _embedded(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that packets to an IPv6 address reach in the end, if there are any."""
    if isinstance(address, IPv4Address):
        return []
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    return [each for each in found if each is not None]


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if address.is_multicast or address.is_reserved or _is_in(address, _NOT_PUBLIC):
        return False
    # What IPv6 has outside of that network is of sites, or not assigned.
    return address.is_global and (isinstance(address, IPv4Address) or address in _UNICAST)
