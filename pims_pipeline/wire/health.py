"""The responses to probes."""

from typing import Annotated, Literal

from pims_pipeline.wire.shape import LEFT_OUT_IF_NONE, Model


class Alive(Model):
    """The response of ``/health``."""

    status: Literal["ok"]


class Check(Model):
    """The result of one check; ``detail`` is why it failed."""

    status: Literal["ok", "failed"]
    detail: Annotated[str | None, LEFT_OUT_IF_NONE] = None


class Ready(Model):
    """The response of ``/ready``: ``ready`` if all checks are ``ok``."""

    ready: bool
    checks: dict[str, Check]
