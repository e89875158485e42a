"""How the API sends the models of ``pims_pipeline.wire``."""

from typing import Any

from fastapi.responses import JSONResponse

from pims_pipeline.wire.shape import Model


class ModelResponse(JSONResponse):
    """A response whose body is a model, which was validated when it was made.

    A route returns it rather than the model: FastAPI would validate the model once more, in
    another thread, which costs as much as looking the API key up.
    """

    def render(self, content: Any) -> bytes:
        """The model as JSON."""
        if not isinstance(content, Model):
            raise TypeError(f"not a model of the wire: {type(content).__name__}")
        return content.model_dump_json().encode()
