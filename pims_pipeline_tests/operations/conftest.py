"""A clinic with a login, a hold and a dead letter of today."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, select, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.credentials import store_login
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import FailureInput, record_failures
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.syncs import sync_failures
from pims_pipeline_tests.operations.dates import TODAY


@pytest.fixture
def ready(engine: Engine, clinic: Clinic, vault: Vault) -> Clinic:
    """The clinic, with a login."""
    store_login(
        engine, vault, clinic, {"username": "vet", "password": "made-up", "company_id": "1001"}
    )
    return clinic


@pytest.fixture
def hold_id(engine: Engine, ready: Clinic) -> UUID:
    """An open hold of one case that does not exist any more."""
    with transaction(engine) as connection:
        found: UUID = connection.execute(
            text(
                "INSERT INTO reconciliation_holds (clinic_id, window_start, window_end, reason, "
                "plan, cases_active, cases_orphaned) VALUES (:clinic_id, :day, :day, "
                "'too_many_orphans', jsonb_build_object('caseIds', ARRAY[CAST(:case AS text)]), "
                "1, 1) RETURNING id"
            ),
            {"clinic_id": ready.id, "day": TODAY, "case": str(uuid4())},
        ).scalar_one()
        return found


@pytest.fixture
def failure_id(engine: Engine, ready: Clinic) -> UUID:
    """A consultation that is a dead letter."""
    failed = FailureInput(
        record_key="A-1",
        pims_id="A-1",
        error_class="TransientError",
        error_message="the vendor is down",
        business_date=TODAY,
        window=DateRange(TODAY, TODAY),
    )
    with transaction(engine) as connection:
        record_failures(connection, ready, Phase.CASES, [failed], datetime.now(UTC))
        found: UUID = connection.scalars(select(sync_failures.c.id)).one()
        return found
