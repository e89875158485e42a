"""A live clinic of an installation with planted cases."""

import pytest
from sqlalchemy import Engine

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline_tests.adoption.live.live_clinic import LiveClinic, live_clinic
from pims_pipeline_tests.adoption.planted import PlantedClinic, V4Installation, plant_clinic
from pims_pipeline_tests.sync.bench import DAY


@pytest.fixture
def installation(request: pytest.FixtureRequest) -> V4Installation:
    """Of the deployed layout; of each in tests that use ``theirs``."""
    either = "theirs" if "theirs" in request.fixturenames else "deployed"
    found: V4Installation = request.getfixturevalue(either)
    return found


@pytest.fixture
def planted(installation: V4Installation) -> PlantedClinic:
    return plant_clinic(installation, DAY)


@pytest.fixture
def live(
    engine: Engine,
    installation: V4Installation,
    planted: PlantedClinic,  # noqa: ARG001 - its rows
    wanted: AdoptionRequest,
) -> LiveClinic:
    return live_clinic(engine, installation, wanted)
