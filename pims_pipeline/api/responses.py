"""The response class for the models of ``pims_pipeline.wire``."""

from typing import Any

from fastapi.responses import JSONResponse

from pims_pipeline.wire.shape import Model


class ModelResponse(JSONResponse):
    """A response whose body is a model, validated when it was created.

    Return it from a route instead of the model: FastAPI would validate the model again, in
    another thread, which costs as much as looking up the API key.
    """

    def render(self, content: Any) -> bytes:
        """Return the model as JSON."""
        if not isinstance(content, Model):
            raise TypeError(f"not a model of the wire: {type(content).__name__}")
        return content.model_dump_json().encode()
