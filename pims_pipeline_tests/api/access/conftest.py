"""Three clinics behind one API, for the tests that call every operation."""

from collections.abc import Iterator

import pytest

from pims_pipeline_tests.api.support.clinic_client import ClinicClient, Watch
from pims_pipeline_tests.api.support.recorded import RecordedResponse, ResponseRecorder
from pims_pipeline_tests.api.support.tenants import (
    MAPLE,
    ServedClinics,
    serve_clinics,
)


@pytest.fixture(scope="module")
def recorded() -> list[RecordedResponse]:
    """All responses of the module's API."""
    return []


@pytest.fixture(scope="module")
def served(server_url: str, recorded: list[RecordedResponse]) -> Iterator[ServedClinics]:
    """Three clinics; runs are started, and stay queued."""
    with serve_clinics(server_url) as served:
        served.app.add_middleware(ResponseRecorder, recorded=recorded)
        yield served


@pytest.fixture
def client(served: ServedClinics, recorded: list[RecordedResponse]) -> ClinicClient:
    """The client of Maple Street."""
    return ClinicClient(served, recorded, served.tenants[MAPLE])


@pytest.fixture
def watch(served: ServedClinics) -> Watch:
    """What changes during the test."""
    return Watch(served)
