"""What of a comparison is kept for a switch, and what waits."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, make_url

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.adoption.modes import change_mode
from pims_pipeline.domain.adoption.agreement import agrees, disagreement
from pims_pipeline.domain.adoption.clinics import AdoptionRefused
from pims_pipeline.domain.adoption.kinds import DifferenceKind
from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline.store.adoptions import adoption_of, set_mode
from pims_pipeline.store.database.batches import ROWS_PER_FETCH
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.v4.installation import MissingRight
from pims_pipeline_tests.adoption.comparing.compared_clinic import (
    compared,
    kinds,
    synced_here,
    synced_there,
)
from pims_pipeline_tests.adoption.planted import (
    PlantedClinic,
    V4Installation,
    plant_clinic,
)
from pims_pipeline_tests.adoption.ways import adopted, rows
from pims_pipeline_tests.cli.invocation import everything
from pims_pipeline_tests.pgbouncer import pgbouncer
from pims_pipeline_tests.sync.bench import DAY, NOW, Bench, local
from pims_pipeline_tests.sync.faults.two_days import full_sync


@pytest.fixture
def planted(deployed: V4Installation) -> PlantedClinic:
    planted = plant_clinic(deployed, DAY)
    synced_there(deployed)
    return planted


@pytest.fixture
def bench(engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest) -> Bench:
    return synced_here(engine, wanted, planted)


@pytest.mark.usefixtures("planted")
def test_what_people_set_there_is_their_edit(
    engine: Engine, deployed: V4Installation, planted: PlantedClinic, bench: Bench
) -> None:
    deployed.run("UPDATE cases SET status = 'completed' WHERE id = %s", planted.broken)
    status = compared(engine).counts.by_kind
    assert status["status_by_people"] == 1
    assert bench.case("7").status == "draft"


def test_an_appointment_that_v4_has_not_seen_yet_waits_for_its_sync(
    engine: Engine, deployed: V4Installation, bench: Bench
) -> None:
    bench.vendor.book("91", local(DAY, 15))
    full_sync(engine, bench.clinic, bench.vendor, 2)
    deployed.run("UPDATE case_sync_audits SET started_at = %s", NOW)
    waiting = [each for each in compared(engine).differences if each.appointment_id == "91"]
    synced_there(deployed)
    missing = [each for each in compared(engine).differences if each.appointment_id == "91"]

    assert [(each.kind, each.is_waiting) for each in (*waiting, *missing)] == [
        (DifferenceKind.MISSING_THERE, True),
        (DifferenceKind.MISSING_THERE, False),
    ]


def test_what_v4_has_not_seen_for_a_day_does_not_wait(
    engine: Engine, deployed: V4Installation, bench: Bench
) -> None:
    bench.run("UPDATE cases SET updated_at = now() - interval '2 days'")
    deployed.run("UPDATE case_sync_audits SET started_at = now() - interval '3 days'")
    deployed.run("DELETE FROM cases")
    missing = compared(engine).differences
    assert {(each.kind, each.is_waiting) for each in missing} == {
        (DifferenceKind.MISSING_THERE, False)
    }


def test_in_live_a_change_waits_for_the_write_alone(
    engine: Engine, deployed: V4Installation, bench: Bench
) -> None:
    with transaction(engine) as connection:
        set_mode(connection, bench.clinic.id, AdoptionMode.LIVE)
    bench.run("UPDATE cases SET updated_at = now() - interval '1 hour'")
    bench.run("UPDATE cases SET updated_at = now() WHERE pims_id = '1'")
    deployed.run("DELETE FROM cases")
    deployed.run("UPDATE case_sync_audits SET started_at = now() - interval '3 days'")
    waiting = {each.appointment_id for each in compared(engine).differences if each.is_waiting}
    assert waiting == {"1"}


def test_what_both_retired_agrees(engine: Engine, planted: PlantedClinic, bench: Bench) -> None:
    bench.vendor.delete("3")
    for run in (2, 3, 4):
        full_sync(engine, bench.clinic, bench.vendor, run)
    assert bench.case("3").gone == "true"
    assert "3" not in {appointment for appointment, _ in kinds(compared(engine))}
    assert planted.retired == bench.case("3").id


def test_a_clinic_that_was_only_imported_does_not_agree_yet(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    clinic = adopted(engine, wanted).clinic
    found = compared(engine)
    with transaction(engine) as connection:
        kept = adoption_of(connection, clinic.id)
    assert kinds(found) == {("5", DifferenceKind.DUPLICATE_THERE)}
    assert kept is not None
    assert kept.last_diff == found.counts.summary
    assert "not synced here" in (disagreement(kept.last_diff) or "")
    assert planted.id == clinic.id


@pytest.mark.usefixtures("bench")
def test_the_counts_are_kept_for_a_switch_and_for_each_day(
    engine: Engine, deployed: V4Installation, planted: PlantedClinic
) -> None:
    compared(engine)
    deployed.run("DELETE FROM cases WHERE id <> %s AND id = ANY(%s)", planted.id, [planted.shifted])
    deployed.run("UPDATE cases SET status = 'draft' WHERE id = %s", planted.retired)
    second = compared(engine)

    (row,) = rows(engine, "SELECT last_diff FROM adoptions")
    days = rows(engine, "SELECT differences, compared, by_kind FROM adoption_diffs")
    # Someone took the retirement back, and the shifted case is missing.
    assert ("2", DifferenceKind.MISSING_THERE) in kinds(second)
    assert row.last_diff == second.counts.summary
    assert [(day.differences, day.by_kind) for day in days] == [
        (1, {"missing_there": 1, "duplicate_there": 1})
    ]
    assert not agrees(row.last_diff)
    assert agrees(row.last_diff, accept=1)


@pytest.mark.usefixtures("bench")
def test_the_counts_of_fewer_dates_than_the_syncs_cover_are_not_kept(engine: Engine) -> None:
    before = everything(engine)
    found = compared(engine, DAY, DAY)
    assert not found.is_kept
    assert everything(engine) == before
    wide = compared(engine, DAY - timedelta(days=30), DAY + timedelta(days=30))
    assert wide.is_kept


@pytest.mark.usefixtures("bench")
def test_an_adoption_that_is_off_is_not_compared(engine: Engine) -> None:
    change_mode(engine, "riverbend", AdoptionMode.OFF)
    with pytest.raises(AdoptionRefused, match="is off"):
        compared(engine)


@pytest.mark.usefixtures("bench")
def test_no_statement_reads_people(engine: Engine) -> None:
    statements: list[str] = []
    listener = ("before_cursor_execute", lambda *given: statements.append(str(given[2])))
    event.listen(engine, *listener)
    try:
        compared(engine)
    finally:
        event.remove(engine, *listener)
    assert any('"theirs"."cases"' in each for each in statements)
    for word in ("patient", "client_name", "client_phone", "owner", "payload", "c.metadata AS"):
        assert not any(word in each for each in statements), word


def test_a_login_that_may_not_read_theirs_gets_the_grant_to_run(
    engine: Engine, database_url: str, bench: Bench
) -> None:
    url = make_url(database_url).update_query_dict({"options": "-c role=pims_service"})
    service = create_engine(url.render_as_string(hide_password=False))
    before = everything(engine)
    with pytest.raises(MissingRight, match='GRANT USAGE ON SCHEMA "theirs" TO "pims_service"'):
        compared(service)
    service.dispose()
    assert everything(engine) == before
    assert bench.case("1").gone is None


def test_a_clinic_is_compared_through_a_pooler_with_one_connection(
    deployed: V4Installation, database_url: str, wanted: AdoptionRequest
) -> None:
    clinic = deployed.clinic()
    deployed.login(clinic)
    number = ROWS_PER_FETCH + 1
    deployed.many_cases(clinic, number, NOW - timedelta(days=3))
    with pgbouncer(database_url, size=1) as url:
        pooled = create_engine(url, pool_size=1)
        adopted(pooled, wanted)
        found = compared(pooled)
        pooled.dispose()
    assert (found.counts.compared, found.counts.differences) == (number, 0)
    assert found.is_kept
