"""The facts that alerts follow from: run ends, credentials, holds and dead letters."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from pims_pipeline.domain.alerts import RunEnd
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.audits import fail_audit, finish_audit, start_audit
from pims_pipeline.store.clinics import deactivate_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import FailureInput, record_failures, resolve_failures
from pims_pipeline.store.liveness import Liveness, run_liveness
from pims_pipeline.store.queries.alert_facts import credential_troubles, run_ends, waiting_holds
from pims_pipeline.store.queries.last_syncs import last_syncs
from pims_pipeline.store.queries.open_failures import dead_letters
from pims_pipeline.store.secrets.credentials import mark_credentials, put_credentials
from pims_pipeline.store.secrets.vault import Vault

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEEK = DateRange(date(2026, 3, 1), date(2026, 3, 7))


def deactivate(engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        deactivate_clinic(connection, clinic.slug)


class Runs:
    """Audits, one after the other, a minute each."""

    def __init__(self, engine: Engine, clinic: Clinic, liveness: Liveness) -> None:
        self.engine, self.clinic, self.liveness = engine, clinic, liveness
        self.now = NOW

    def audit(self, run_id: str, status: AuditStatus, error: str = "Oh") -> datetime:
        self.now += MINUTE
        with transaction(self.engine) as connection:
            audit_id = start_audit(
                connection,
                clinic=self.clinic,
                sync_type=Phase.CASES,
                window=WEEK,
                run_id=run_id,
                owner=self.liveness.owner,
                now=self.now,
            )
            self._finish(connection, audit_id, status, error)
        return self.now

    def _finish(
        self, connection: Connection, audit_id: UUID, status: AuditStatus, error: str
    ) -> None:
        if status is AuditStatus.FAILED:
            fail_audit(connection, audit_id, "Ana Rex called 555-0199", self.now, error_class=error)
        elif status is not AuditStatus.IN_PROGRESS:
            finish_audit(
                connection,
                audit_id,
                status=status,
                counts=Counts(),
                fetched_at=None,
                now=self.now,
            )

    def ends(self) -> list[RunEnd]:
        with transaction(self.engine) as connection:
            return run_ends(connection, self.now).get((self.clinic.id, Phase.CASES), [])

    def last_completed_or_held(self) -> datetime | None:
        with transaction(self.engine) as connection:
            last = last_syncs(connection, self.now)
        return last[self.clinic.id, Phase.CASES].last_completed_or_held


@pytest.fixture
def runs(engine: Engine, clinic: Clinic) -> Iterator[Runs]:
    with run_liveness(engine) as liveness:
        yield Runs(engine, clinic, liveness)


def failed(run_id: str, error_class: str | None = "Oh") -> RunEnd:
    return RunEnd(run_id=run_id, succeeded=False, error_class=error_class)


def test_a_phase_that_never_ran_has_no_history(runs: Runs) -> None:
    assert runs.ends() == []
    assert runs.last_completed_or_held() is None


def test_the_three_newest_runs_are_listed_newest_first(runs: Runs) -> None:
    for number in range(4):
        runs.audit(f"run-{number}", AuditStatus.FAILED)

    assert runs.ends() == [failed("run-3"), failed("run-2"), failed("run-1")]


def test_a_run_failed_when_one_of_its_windows_did(runs: Runs) -> None:
    runs.audit("run-1", AuditStatus.FAILED, "TransientError")
    success = runs.audit("run-1", AuditStatus.COMPLETED)

    assert runs.ends() == [failed("run-1", "TransientError")]
    assert runs.last_completed_or_held() == success


def test_a_run_that_is_still_going_counts_for_nothing_yet(runs: Runs) -> None:
    runs.audit("run-1", AuditStatus.FAILED)
    runs.audit("run-2", AuditStatus.FAILED)
    runs.audit("run-2", AuditStatus.IN_PROGRESS)

    assert runs.ends() == [failed("run-1")]


def test_an_interrupted_run_failed_and_a_held_one_did_not(runs: Runs) -> None:
    runs.audit("run-1", AuditStatus.INTERRUPTED)
    held = runs.audit("run-2", AuditStatus.HELD)

    assert runs.ends() == [RunEnd(run_id="run-2", succeeded=True), failed("run-1", None)]
    assert runs.last_completed_or_held() == held


def test_the_error_is_shown_by_its_class_and_never_by_its_message(runs: Runs) -> None:
    runs.audit("run-1", AuditStatus.FAILED, "ContractViolation")

    assert runs.ends() == [failed("run-1", "ContractViolation")]


def test_a_clinic_that_is_synced_no_more_has_no_facts(
    runs: Runs, engine: Engine, clinic: Clinic, vault: Vault
) -> None:
    runs.audit("run-1", AuditStatus.FAILED)
    bury(engine, clinic, "gone")
    refuse(engine, clinic, vault, CredentialStatus.INVALID)
    hold(engine, clinic)
    deactivate(engine, clinic)

    with transaction(engine) as connection:
        assert run_ends(connection, runs.now) == {}
        assert dead_letters(connection, 8) == {}
        assert credential_troubles(connection) == {}
        assert waiting_holds(connection) == {}


def refuse(engine: Engine, clinic: Clinic, vault: Vault, status: CredentialStatus) -> None:
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, {"username": "vet"})
        mark_credentials(connection, clinic, status)


@pytest.mark.parametrize("status", [CredentialStatus.INVALID, CredentialStatus.NEEDS_HUMAN])
def test_credentials_that_cannot_be_used_are_listed(
    status: CredentialStatus, engine: Engine, clinic: Clinic, other: Clinic, vault: Vault
) -> None:
    refuse(engine, clinic, vault, status)
    refuse(engine, other, vault, CredentialStatus.VALID)

    with transaction(engine) as connection:
        assert credential_troubles(connection) == {clinic.id: status}


def test_credentials_of_a_system_the_clinic_left_are_not_listed(
    engine: Engine, clinic: Clinic, vault: Vault
) -> None:
    refuse(engine, replace(clinic, provider_type="former"), vault, CredentialStatus.INVALID)

    with transaction(engine) as connection:
        assert credential_troubles(connection) == {}


def hold(engine: Engine, clinic: Clinic, status: str = "open") -> UUID:
    with transaction(engine) as connection:
        hold_id: UUID = connection.execute(
            text(
                "INSERT INTO reconciliation_holds (clinic_id, window_start, window_end, reason, "
                "plan, cases_active, cases_orphaned, status) VALUES (:clinic, '2026-03-01', "
                "'2026-03-07', 'too_many', '{\"caseIds\": []}', 30, 12, :status) RETURNING id"
            ),
            {"clinic": clinic.id, "status": status},
        ).scalar_one()
    return hold_id


def test_open_holds_are_listed_and_decided_ones_are_not(engine: Engine, clinic: Clinic) -> None:
    waiting = hold(engine, clinic)
    hold(engine, clinic, "approved")

    with transaction(engine) as connection:
        [found] = waiting_holds(connection)[clinic.id]
    assert (found.id, found.window, found.cases_active, found.cases_orphaned) == (
        waiting,
        WEEK,
        30,
        12,
    )


def bury(
    engine: Engine,
    clinic: Clinic,
    key: str,
    *,
    retry_at: datetime | None = None,
    phase: Phase = Phase.CASES,
) -> None:
    failure = FailureInput(
        record_key=key, error_class="Oh", error_message="no", next_retry_at=retry_at
    )
    with transaction(engine) as connection:
        record_failures(connection, clinic, phase, [failure], NOW)


def buried(engine: Engine, clinic: Clinic) -> list[tuple[Phase, int]]:
    with transaction(engine) as connection:
        letters = dead_letters(connection, 3).get(clinic.id, [])
    return [(letter.phase, letter.attempts) for letter in letters]


def test_a_record_is_dead_when_nothing_tries_it_again(engine: Engine, clinic: Clinic) -> None:
    bury(engine, clinic, "retried", retry_at=NOW + MINUTE)
    assert buried(engine, clinic) == []

    bury(engine, clinic, "given up")
    bury(engine, clinic, "unreadable", phase=Phase.INBOUND)
    assert sorted(buried(engine, clinic)) == [(Phase.CASES, 1), (Phase.INBOUND, 1)]


def test_a_dead_record_that_a_person_has_tried_again_is_dead_until_it_was_fetched(
    engine: Engine, clinic: Clinic
) -> None:
    for _ in range(3):
        bury(engine, clinic, "stubborn", retry_at=NOW)
    assert buried(engine, clinic) == [(Phase.CASES, 3)]

    with transaction(engine) as connection:
        resolve_failures(connection, clinic, Phase.CASES, ["stubborn"], NOW)
    assert buried(engine, clinic) == []
