"""The body of every error of the API."""

from typing import Literal

from pims_pipeline.wire.shape import Model, Timestamp


class ErrorBody(Model):
    """The body of every error."""

    success: Literal[False]
    error: str
    timestamp: Timestamp
