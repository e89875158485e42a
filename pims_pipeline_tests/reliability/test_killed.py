"""A sync of a vendor with batches, killed before its statements one after the other.

``sync/faults/test_crash.py`` kills a real process at every statement, with a vendor that gives one
record at a time. Here the calendar, the consultations and the look-ups come in pages and batches.
"""

from datetime import timedelta

from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.clinic.pipeline import FULL
from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.settling import settle
from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic
from pims_pipeline_tests.reliability.test_faults import eight_appointments

MOST_STATEMENTS = 200


def _edit_everything(synced: SyncedClinic, number: int) -> None:
    """Work for each phase: a booking, two notes, two deletions or restored appointments, a move."""
    first, second, third, fourth, fifth, *_ = sorted(synced.history)
    for pims_id in (first, second):
        synced.vendor("finish", pims_id, f"<p>note {number};</p>")
    for pims_id in (third, fourth):
        synced.vendor("restore" if number % 4 == 3 else "delete", pims_id)
    synced.vendor("move", fifth, synced.local(number % 3, 16))
    if number % 20 == 1:
        synced.book(synced.local(1, 9))
    synced.servers.clock.forward(timedelta(hours=1))
    synced.step_began = synced.servers.clock()


def test_a_sync_with_batches_killed_before_a_statement_is_completed_by_the_next(
    servers: SharedServers,
) -> None:
    kills = 0
    with eight_appointments(servers, "vetspire") as synced:
        for statement in range(1, MOST_STATEMENTS, 2):
            _edit_everything(synced, statement)
            if not synced.killed_sync(*FULL, statement=statement):
                break
            kills += 1
            oracle.check(synced)
            outcomes = synced.sync(*FULL, fresh=True)
            assert set(outcomes) == set(Phase)
            assert all(isinstance(each, PhaseOutcome) for each in outcomes.values()), outcomes
            oracle.no_audit_is_in_progress(synced)
            oracle.check(synced)
            oracle.cases_equal_the_truth(synced)
        settle(synced)
    assert kills > 20
