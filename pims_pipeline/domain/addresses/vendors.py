"""The address of a clinic's system: one that passwords may be sent to. Pure.

The command line checks what is typed with it, and a component what is configured.
"""

import ipaddress
from urllib.parse import urlsplit

from pims_pipeline.domain.errors import UserFacingError

_NO_ADDRESS = "is not an address such as https://clinic.example"


class BadVendorAddress(UserFacingError):
    """Passwords must not be sent there. The message never repeats the address.

    It begins with a verb, so that the caller can put the name of its option before it.
    """


def checked_vendor_address(url: str) -> str:
    """``url``, if passwords may be sent there.

    Raises:
        BadVendorAddress: If not.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError when it is no port
    except ValueError:
        # The error quotes the text in the port's place, which may be part of a password.
        raise BadVendorAddress(_NO_ADDRESS) from None
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise BadVendorAddress(_NO_ADDRESS)
    if "@" in url:
        raise BadVendorAddress(
            "holds a user or password; leave them out, and enter them with `pims credentials set`"
        )
    if parts.scheme == "http" and not _is_this_machine(host):
        raise BadVendorAddress(
            "begins with http://, so passwords would travel in the clear; use https:// (http is "
            "for this machine alone)"
        )
    return url


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
