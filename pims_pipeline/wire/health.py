"""The responses to probes, and the service card."""

from typing import Annotated, Literal

from pydantic import Field

from pims_pipeline.wire.shape import LEFT_OUT_IF_NONE, Model, Timestamp


class HealthCheck(Model):
    """What is known of one check: ``unknown`` if it has not responded yet."""

    name: str
    status: Literal["ok", "failed", "unknown"]
    detail: Annotated[str | None, LEFT_OUT_IF_NONE] = None


class Health(Model):
    """The response of ``/health``: the process is alive, whatever the checks say."""

    status: Literal["healthy"]
    service: str
    version: str
    timestamp: Timestamp
    # As the v4.0 service named it.
    uptime_seconds: Annotated[int, Field(alias="uptime_seconds")]
    checks: list[HealthCheck]


class ServiceCard(Model):
    """The response of ``/``: what answers here, and where its documentation is."""

    service: str
    version: str
    description: str
    links: dict[str, str]
    timestamp: Timestamp


class Check(Model):
    """The result of one check; ``detail`` is why it failed."""

    status: Literal["ok", "failed"]
    detail: Annotated[str | None, LEFT_OUT_IF_NONE] = None


class Ready(Model):
    """The response of ``/ready``: ``ready`` if all checks are ``ok``."""

    ready: bool
    checks: dict[str, Check]
