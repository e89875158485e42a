"""The address of a clinic's system, as it is typed: one that passwords may be sent to."""

import ipaddress
from urllib.parse import urlsplit

from pims_pipeline.cli.terminal.errors import Misused


def checked_base_url(url: str) -> str:
    """The value of ``--base-url``, if passwords may be sent there.

    Raises:
        Misused: If not.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError when it is no port
    except ValueError:
        # The error quotes the text in the port's place, which may be part of a password.
        raise Misused("--base-url is not an address such as https://clinic.example") from None
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise Misused("--base-url is not an address such as https://clinic.example")
    if "@" in url:
        raise Misused(
            "--base-url holds a user or password; leave them out, and enter them with "
            "`pims credentials set`"
        )
    if parts.scheme == "http" and not _is_this_machine(host):
        raise Misused(
            "--base-url begins with http://, so passwords would travel in the clear; "
            "use https:// (http is for this machine alone)"
        )
    return url


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
