"""A second clinic."""

import pytest
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction


@pytest.fixture
def other(engine: Engine) -> Clinic:
    with transaction(engine) as connection:
        return add_clinic(
            connection,
            slug="oak-lane",
            name="Oak Lane",
            timezone="Europe/Berlin",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
