"""What every error of the API is answered with."""

from typing import Literal

from pims_pipeline.wire.shape import Model, Moment


class ErrorBody(Model):
    """What every error is answered with."""

    success: Literal[False]
    error: str
    timestamp: Moment
