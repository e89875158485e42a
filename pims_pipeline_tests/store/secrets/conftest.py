"""Clinics with secrets under an old key."""

import pytest
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.store.secrets.rotations import OLD, SLUGS, store_secrets


@pytest.fixture
def old_key_clinics(engine: Engine) -> list[Clinic]:
    """Clinics whose login and session are encrypted with the old key."""
    with transaction(engine) as connection:
        old_key_clinics = [
            add_clinic(
                connection,
                slug=slug,
                name=slug.title(),
                timezone="UTC",
                provider_type="idexx_neo",
                provider_base_url="https://pims.example",
            )
            for slug in SLUGS
        ]
    for clinic in old_key_clinics:
        store_secrets(engine, OLD, clinic)
    return old_key_clinics
