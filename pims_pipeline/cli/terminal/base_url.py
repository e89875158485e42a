"""The address of a clinic's system, as it is typed: one that passwords may be sent to."""

from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.domain.addresses.vendors import BadVendorAddress, checked_vendor_address


def checked_base_url(url: str) -> str:
    """The value of ``--base-url``, if passwords may be sent there.

    Raises:
        Misused: If not.
    """
    try:
        return checked_vendor_address(url)
    except BadVendorAddress as error:
        # Without its cause, whose traceback could show the address.
        raise Misused(f"--base-url {error}") from None
