"""The environment variables of what is delivered to others: alerts and webhooks.

As ``setting_areas`` has those of the other areas.
"""

from pydantic import Field

from pims_pipeline.setting_areas import SettingsArea
from pims_pipeline.setting_types import Networks, SecretWebAddress, SlackBotToken


class AlertSettings(SettingsArea):
    """Where alerts are delivered."""

    slack_bot_token: SlackBotToken | None = Field(
        default=None,
        validation_alias="SLACK_BOT_TOKEN",
        description="a bot's token of 16 characters or more, which begins with xoxb-",
    )
    """The token of a Slack app with the scope ``chat:write``. Requires ``SLACK_CHANNEL``. Unset:
    alerts are log lines."""

    slack_channel: str | None = Field(
        default=None,
        min_length=1,
        validation_alias="SLACK_CHANNEL",
        description="the id of a channel such as C0123456789",
    )
    """The channel for alerts; the bot must be a member. Requires ``SLACK_BOT_TOKEN``."""

    heartbeat_url: SecretWebAddress | None = Field(
        default=None,
        validation_alias="PIMS_HEARTBEAT_URL",
        description="a web address such as https://health.example/ping/0123, without a user name",
    )
    """An address that the sensor ``alerting`` calls (GET) after each successful check of the
    clinics, about once a minute. A monitoring service that misses the calls reports that the
    machine, the daemon or the database is down."""


class WebhookSettings(SettingsArea):
    """Where webhooks may be."""

    webhook_allowed_networks: Networks = Field(
        default=(),
        validation_alias="PIMS_WEBHOOK_ALLOWED_NETWORKS",
        description="addresses and networks such as 10.1.0.0/16, separated by commas",
    )
    """Addresses and networks that webhooks may call although they are not public: those of your own
    receivers. ``http://`` is possible there alone. All other private, link-local and loopback
    addresses are refused."""
