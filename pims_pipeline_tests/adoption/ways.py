"""Adopting a clinic in a test, and reading what is here."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Row, text

from pims_pipeline.adoption.importing import AdoptionRequest, AdoptionResult, adopt
from pims_pipeline.domain.adoption.agreement import DiffCounts
from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.store.adoptions import add_adoption, keep_diff
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.v4_credentials import PasswordOf
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.adoption.planted import keys

OUR_VAULT = Vault(bytes(32))


def adopted(
    engine: Engine, request: AdoptionRequest, password_of: PasswordOf = keys
) -> AdoptionResult:
    """Adopt a clinic with the planted keys."""
    return adopt(
        engine,
        request,
        vault=OUR_VAULT,
        password_of=password_of,
        progress=lambda _done, _total: None,
    )


def rows(engine: Engine, statement: str, **parameters: object) -> list[Row[Any]]:
    """The rows of a statement on our tables."""
    with transaction(engine) as connection:
        return list(connection.execute(text(statement), parameters).all())


def leave_comparison(engine: Engine, clinic: Clinic, differences: int) -> None:
    """Record that a clinic is adopted, and its comparison of today; no v4.0 installation exists."""
    today = datetime.now(UTC).date()
    counts = DiffCounts(
        window=DateRange(today, today), is_synced_here=True, compared=9, differences=differences
    )
    with transaction(engine) as connection:
        add_adoption(
            connection,
            clinic_id=clinic.id,
            layout=Layout.DEPLOYED,
            their_schema="theirs",
            their_clinic_id=clinic.id,
        )
        keep_diff(connection, clinic.id, counts)
