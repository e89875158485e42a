"""What the API says to probes."""

from typing import Annotated, Literal

from pims_pipeline.wire.shape import LEFT_OUT_IF_NONE, Model


class Alive(Model):
    """What ``/health`` says."""

    status: Literal["ok"]


class Check(Model):
    """How one thing stands; ``detail`` says what is wrong with it."""

    status: Literal["ok", "failed"]
    detail: Annotated[str | None, LEFT_OUT_IF_NONE] = None


class Ready(Model):
    """What ``/ready`` says: ``ready`` when all checks are ``ok``."""

    ready: bool
    checks: dict[str, Check]
