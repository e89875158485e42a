"""What waits for an operator: a hold of several days, and a dead letter; and its decisions."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, text, update

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import FailureInput, record_failures
from pims_pipeline.store.tables.cases import pims_appointments
from pims_pipeline_tests.console.browsers import OWN_PAGE, Browser
from pims_pipeline_tests.console.practice import add_case, begin_sync, land_appointment

LOGIN = {"username": "vet", "password": "made-up", "company_id": "1001"}
TODAY = datetime.now(UTC).date()
WINDOW = DateRange(TODAY, TODAY + timedelta(days=2))
REASON = "the clinic closed these days"
SCHEDULE = {
    "inbound": "*/10 7-19 * * *",
    "cases": "off",
    "reconciliation": "30 1 * * *",
    "days_ahead": "14",
    "lookback_days": "7",
    "parallel_batch_size": "5",
}


def add_hold(engine: Engine, clinic: Clinic) -> UUID:
    """An open hold of three days: a case whose appointment is missing, and one that is gone."""
    with transaction(engine) as connection:
        case_id = add_case(connection, clinic, scheduled_date=TODAY)
        land_appointment(connection, clinic, begin_sync(connection, clinic))
        missing = update(pims_appointments).where(pims_appointments.c.clinic_id == clinic.id)
        connection.execute(missing.values(missing_since=datetime(2026, 3, 10, 12, tzinfo=UTC)))
        found: UUID = connection.execute(
            text(
                "INSERT INTO reconciliation_holds (clinic_id, window_start, window_end, reason, "
                "plan, cases_active, cases_orphaned) VALUES (:clinic, :first, :last, "
                "'too_many_orphans', jsonb_build_object('caseIds', CAST(:cases AS text[])), "
                "2, 2) RETURNING id"
            ),
            {
                "clinic": clinic.id,
                "first": WINDOW.start,
                "last": WINDOW.end,
                "cases": [str(case_id), str(uuid4())],
            },
        ).scalar_one()
        return found


def add_failure(engine: Engine, clinic: Clinic) -> UUID:
    """A dead letter of today."""
    failed = FailureInput(
        record_key="A-9",
        pims_id="A-9",
        error_class="TransientError",
        error_message="the vendor is down",
        business_date=TODAY,
        window=DateRange(TODAY, TODAY),
    )
    with transaction(engine) as connection:
        record_failures(connection, clinic, Phase.CASES, [failed], datetime.now(UTC))
        query = text("SELECT id FROM sync_failures WHERE clinic_id = :id")
        found: UUID = connection.scalar(query, {"id": clinic.id})
        return found


def decisions(engine: Engine) -> list[tuple[str, str, dict[str, Any]]]:
    """Who decided what, and what the log keeps of it, oldest first."""
    with transaction(engine) as connection:
        rows = connection.execute(
            text(
                "SELECT name, action, details FROM operator_log JOIN operators "
                "ON operators.id = operator_id WHERE action NOT LIKE 'sign%' "
                "AND action NOT LIKE '%seen' ORDER BY seq"
            )
        )
        return [tuple(row) for row in rows]


def send(browser: Browser, path: str, **fields: str) -> Any:
    return browser.send(path, OWN_PAGE, form_token=browser.token(), **fields)


def forms_of(hold_id: UUID, failure_id: UUID, slug: str) -> dict[str, dict[str, str]]:
    """Each form that decides, with fields that would do."""
    return {
        f"/holds/{hold_id}/approve": {"reason": REASON},
        f"/holds/{hold_id}/reject": {"reason": REASON},
        f"/holds/{hold_id}/reopen": {"reason": REASON},
        f"/holds/{hold_id}/look-again": {},
        f"/failures/{failure_id}/retry": {},
        f"/clinics/{slug}/sync": {"scope": "full"},
        f"/clinics/{slug}/schedule": {**SCHEDULE, "do": "save"},
    }
