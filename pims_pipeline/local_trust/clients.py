"""What counts as one client, for limits of attempts."""

import ipaddress

_IPV6_NETWORK = 64
"""Bits: a client with an IPv6 address has at least a whole network of this size."""
_LONGEST = 64


def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        # A proxy may pass on any text; it counts as a name.
        return address[:_LONGEST]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK), strict=False))
