"""Fixtures: a v4.0 installation beside our tables, and the request to adopt a clinic of it."""

import pytest

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.domain.adoption.clinics import ClinicAnswers
from pims_pipeline_tests.adoption.planted import SCHEMA
from pims_pipeline_tests.adoption.v4_databases import databases, deployed, theirs

__all__ = ["databases", "deployed", "theirs"]


@pytest.fixture
def wanted(request: pytest.FixtureRequest) -> AdoptionRequest:
    """The request to adopt ``riverbend`` of the test's installation."""
    is_either = "theirs" in request.fixturenames
    return AdoptionRequest(
        schema=request.getfixturevalue("theirs").schema if is_either else SCHEMA,
        clinic="riverbend",
        answers=ClinicAnswers(base_url="https://pims.example"),
    )
