"""The environment variables of the console, as ``setting_areas`` has those of the other areas."""

from pydantic import Field

from pims_pipeline.setting_areas import SettingsArea
from pims_pipeline.setting_types import HeaderName, Networks, PublicWebAddress


class ConsoleSettings(SettingsArea):
    """The operator's console: where people reach it, and who is signed in by an identity proxy."""

    console_url: PublicWebAddress | None = Field(
        default=None,
        validation_alias="PIMS_CONSOLE_URL",
        description="a web address such as https://pims.example/console, without a user",
    )
    """The address at which people reach the console, for the links in the Dagster UI. Unset: the
    API of `pims up`, or ``/console`` at port 8000 of this machine."""

    console_proxy_header: HeaderName | None = Field(
        default=None,
        validation_alias="PIMS_CONSOLE_PROXY_HEADER",
        description="the name of a header such as X-Forwarded-User",
    )
    """The header in which an identity proxy names the operator it has signed in. The proxy must
    remove it from what clients send. Requires ``PIMS_CONSOLE_PROXY_ADDRESSES``. Unset: operators
    sign in with passwords only."""

    console_proxy_addresses: Networks = Field(
        default=(),
        validation_alias="PIMS_CONSOLE_PROXY_ADDRESSES",
        description="addresses or networks such as 10.0.0.5, separated by commas",
    )
    """The addresses from which that header counts; from any other it is ignored. They are compared
    with the address of the connection itself, never with ``X-Forwarded-For``."""
