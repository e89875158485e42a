"""Our rows about adoptions: modes, links and the log."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.adoption.v4 import AdoptionMode, Layout
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.adoptions import (
    CaseLink,
    add_adoption,
    adoption_of,
    all_adoptions,
    keep_their_schedule,
    link_cases,
    linked_cases,
    linked_counts,
    log_step,
    record_diff,
    set_mode,
    steps_of,
)
from pims_pipeline.store.database.engine import transaction


@pytest.fixture
def adopted(engine: Engine, clinic: Clinic) -> UUID:
    """The id of an adopted clinic."""
    with transaction(engine) as connection:
        add_adoption(
            connection,
            clinic_id=clinic.id,
            layout=Layout.DEPLOYED,
            their_schema="public",
            their_clinic_id=clinic.id,
        )
    return clinic.id


def test_an_adoption_begins_in_shadow_and_keeps_what_is_recorded(
    engine: Engine, adopted: UUID
) -> None:
    with transaction(engine) as connection:
        assert adoption_of(connection, uuid4()) is None
        (first,) = all_adoptions(connection)
        keep_their_schedule(connection, adopted, [{"type": "inbound"}])
        record_diff(connection, adopted, {"missing_there": 2})
        changed = adoption_of(connection, adopted, lock=True)
        keep_their_schedule(connection, adopted, None)
        again = adoption_of(connection, adopted)
    assert (first.mode, first.their_schedule, first.last_diff) == (AdoptionMode.SHADOW, None, None)
    assert changed is not None
    assert again is not None
    assert changed.their_schedule == [{"type": "inbound"}]
    assert (changed.last_diff, changed.last_diff_at is None) == ({"missing_there": 2}, False)
    assert again.their_schedule is None


def test_the_time_of_a_mode_changes_only_with_the_mode(engine: Engine, adopted: UUID) -> None:
    times = []
    for mode in (AdoptionMode.SHADOW, AdoptionMode.LIVE, AdoptionMode.LIVE):
        with transaction(engine) as connection:
            set_mode(connection, adopted, mode)
            found = adoption_of(connection, adopted)
            assert found is not None
            assert found.mode is mode
            times.append(found.mode_changed_at)
    assert times[0] < times[1] == times[2]


def test_a_case_is_linked_once(engine: Engine, adopted: UUID) -> None:
    case_id, theirs = uuid4(), uuid4()
    with transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO cases (id, clinic_id, patient_name, client_name, scheduled_date) "
                "VALUES (:id, :clinic_id, '', '', '2026-03-20')"
            ),
            {"id": case_id, "clinic_id": adopted},
        )
        link = CaseLink(case_id=case_id, their_case_id=theirs, external_id="idexx-appt-1")
        other = CaseLink(case_id=case_id, their_case_id=uuid4(), external_id="idexx-appt-2")
        assert link_cases(connection, adopted, [link]) == 1
        assert link_cases(connection, adopted, [link, other]) == 0
        assert linked_cases(connection, adopted) == [link]
        assert linked_cases(connection, adopted, [uuid4()]) == []
        assert linked_counts(connection) == {adopted: 1}


def test_the_log_of_steps_only_grows(engine: Engine, adopted: UUID) -> None:
    with transaction(engine) as connection:
        log_step(connection, "keys", {"imported": 3}, clinic_id=None)
        log_step(connection, "run", {"imported": 7}, clinic_id=adopted)
        assert [step.step for step in steps_of(connection)] == ["keys", "run"]
        assert [step.details for step in steps_of(connection, adopted)] == [{"imported": 7}]
    for change in ("UPDATE adoption_steps SET step = 'x'", "DELETE FROM adoption_steps"):
        with (
            pytest.raises(DBAPIError, match="adoption_steps is append-only"),
            transaction(engine) as connection,
        ):
            connection.execute(text(change))
