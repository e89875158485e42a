"""Decisions on holds, and when one is refused."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.deactivation import ClinicDeactivated
from pims_pipeline.domain.holds import HoldStatus
from pims_pipeline.operations.clinics import deactivate
from pims_pipeline.operations.holds import (
    HoldStillWaits,
    HoldUndecidable,
    NotInForce,
    approve_hold,
    hold_details,
    hold_overview,
    reject_hold,
    reopen_hold,
)
from pims_pipeline.operations.runs import RunResult
from pims_pipeline.store.holds import Hold, HoldDecided
from pims_pipeline_tests.operations.dates import EARLIEST, TODAY


def never(clinic: Clinic, hold: Hold) -> RunResult:
    raise AssertionError(f"{hold.id} of {clinic.slug} was reconciled")


def test_a_run_that_did_not_approve_leaves_the_hold_waiting(engine: Engine, hold_id: UUID) -> None:
    reconciled: list[UUID] = []

    def broken(_: Clinic, hold: Hold) -> RunResult:
        reconciled.append(hold.id)
        return RunResult("run-1", [], "the vendor is down")

    with pytest.raises(HoldStillWaits, match="still waits, and nothing was changed"):
        approve_hold(engine, hold_id, earliest=EARLIEST, reconcile=broken)

    assert reconciled == [hold_id]
    assert hold_details(engine, hold_id).hold.status is HoldStatus.OPEN


def test_an_approval_that_loses_to_a_rejection_says_so(engine: Engine, hold_id: UUID) -> None:
    def rejected_first(_: Clinic, hold: Hold) -> RunResult:
        reject_hold(engine, hold.id, decided_by="Robin")
        return RunResult("run-1", [], "the hold is decided")

    with pytest.raises(HoldDecided, match="rejected by Robin"):
        approve_hold(engine, hold_id, earliest=EARLIEST, reconcile=rejected_first)


def test_a_window_that_can_no_longer_be_synced_is_not_reconciled(
    engine: Engine, hold_id: UUID
) -> None:
    with pytest.raises(HoldUndecidable):
        approve_hold(engine, hold_id, earliest=TODAY + timedelta(days=366), reconcile=never)


def test_a_hold_of_a_clinic_that_was_deactivated_is_not_decided(
    engine: Engine, ready: Clinic, hold_id: UUID
) -> None:
    deactivate(engine, ready.slug)

    with pytest.raises(ClinicDeactivated):
        approve_hold(engine, hold_id, earliest=EARLIEST, reconcile=never)
    with pytest.raises(ClinicDeactivated):
        reject_hold(engine, hold_id, decided_by="Sam")
    assert hold_details(engine, hold_id).hold.status is HoldStatus.OPEN


def test_a_rejection_is_in_force_until_it_is_reopened(engine: Engine, hold_id: UUID) -> None:
    rejected = reject_hold(engine, hold_id, decided_by="Sam").hold
    overview = hold_overview(engine, None, waiting_only=True)

    assert (rejected.status, rejected.decided_by) == (HoldStatus.REJECTED, "Sam")
    assert (overview.holds, overview.in_force) == ([], [rejected])

    assert not reopen_hold(engine, hold_id).hold.is_in_force
    with pytest.raises(NotInForce):
        reopen_hold(engine, hold_id)
