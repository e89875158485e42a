"""Fixtures: a v4.0 installation beside our tables, in each layout."""

from collections.abc import Iterator

import pytest

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.domain.adoption.clinics import ClinicAnswers
from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline_tests.adoption.planted import SCHEMA, V4Installation


@pytest.fixture(params=list(Layout))
def theirs(request: pytest.FixtureRequest, database_url: str) -> Iterator[V4Installation]:
    """A v4.0 installation in the schema ``theirs``, in each layout in turn."""
    with V4Installation(database_url, request.param) as installation:
        yield installation


@pytest.fixture
def deployed(database_url: str) -> Iterator[V4Installation]:
    """A v4.0 installation in the schema ``theirs``, in the deployed layout."""
    with V4Installation(database_url, Layout.DEPLOYED) as installation:
        yield installation


@pytest.fixture
def wanted() -> AdoptionRequest:
    """The request to adopt ``riverbend``."""
    return AdoptionRequest(
        schema=SCHEMA,
        clinic="riverbend",
        answers=ClinicAnswers(base_url="https://pims.example"),
    )
