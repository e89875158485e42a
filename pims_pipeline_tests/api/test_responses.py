"""The body of a response is a model of ``wire``."""

import pytest

from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.wire.health import Check


def test_a_model_is_sent_as_json() -> None:
    response = ModelResponse(Check(status="ok"), 202, {"X-Name": "value"})

    assert (response.body, response.status_code) == (b'{"status":"ok"}', 202)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Name"] == "value"


def test_what_is_not_a_model_is_not_sent() -> None:
    with pytest.raises(TypeError, match="not a model of the wire: dict"):
        ModelResponse({"status": "ok"})
