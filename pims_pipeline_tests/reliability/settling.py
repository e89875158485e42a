"""The end of a program: undisturbed syncs, after which the cases equal the calendar."""

from datetime import timedelta

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, PhaseOutcome
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.clinic.pipeline import FULL
from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic


def settle(synced: SyncedClinic) -> None:
    """Sync the whole calendar: the cases equal it. Sync it again: nothing changes."""
    synced.servers.clock.forward(timedelta(days=1, minutes=1))
    synced.step_began = synced.servers.clock()
    if synced.credentials_are_refused():
        synced.store_credentials_again()
    with synced.undisturbed():
        sync_everything(synced)
        for hold in synced.holds():
            synced.approve(hold.id, DateRange(hold.window_start, hold.window_end))
        oracle.check(synced)
        oracle.no_audit_is_in_progress(synced)
        oracle.cases_equal_the_truth(synced)
        before = synced.everything()
        assert sync_everything(synced) == {AuditStatus.COMPLETED}
        assert synced.everything() == before


def sync_everything(synced: SyncedClinic) -> set[AuditStatus]:
    """Sync every phase over the whole calendar; each must succeed."""
    outcomes = synced.sync(*FULL, window=synced.wide)
    assert set(outcomes) == set(FULL)
    for outcome in outcomes.values():
        assert isinstance(outcome, PhaseOutcome), outcome
    return {outcome.status for outcome in outcomes.values() if isinstance(outcome, PhaseOutcome)}
