"""A clinic with everything is imported as docs/adopting.md says, and again changes nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Engine

from pims_pipeline.adoption.cases import CASES_AT_ONCE
from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.domain.adoption.importing import ImportFinding
from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.adoptions import adoption_of, linked_cases, steps_of
from pims_pipeline.store.clinics import clinic_by_slug, schedule_config
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.queries.case_history import case_history
from pims_pipeline.store.secrets.credentials import read_credentials
from pims_pipeline_tests.adoption.planted import LOGIN, PlantedClinic, V4Installation, plant_clinic
from pims_pipeline_tests.adoption.ways import OUR_VAULT, adopted, rows
from pims_pipeline_tests.cli.invocation import everything
from pims_pipeline_tests.pgbouncer import pgbouncer

DAY = date(2026, 3, 20)


@pytest.fixture
def planted(theirs: V4Installation) -> PlantedClinic:
    return plant_clinic(theirs, DAY)


def test_a_clinic_keeps_its_id_zone_and_schedule(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    adopted(engine, wanted)

    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, "riverbend")
        config = schedule_config(connection, clinic)
        adoption = adoption_of(connection, clinic.id)
    assert clinic.id == planted.id
    assert (clinic.timezone, clinic.provider_type) == ("America/New_York", "idexx_neo")
    assert clinic.provider_base_url == "https://pims.example"
    assert config.sync_schedules == {
        Phase.INBOUND: "*/20 * * * *",
        Phase.CASES: "off",
        Phase.RECONCILIATION: "0 3 * * *",
    }
    assert adoption is not None
    assert (adoption.mode, adoption.their_clinic_id) == (AdoptionMode.SHADOW, planted.id)


def test_the_login_is_stored_under_our_own_key(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    adopted(engine, wanted)

    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, "riverbend")
        stored = read_credentials(connection, OUR_VAULT, clinic, purpose="test", run_id=None)
    assert stored.fields == LOGIN
    assert stored.status is CredentialStatus.UNVERIFIED
    assert planted.id == clinic.id


def test_cases_keep_their_ids_status_type_and_own_keys(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    before = theirs.checksum()

    adopted(engine, wanted)

    cases = {row.pims_id: row for row in rows(engine, "SELECT * FROM cases")}
    assert {pims_id: row.id for pims_id, row in cases.items()} == planted.linked
    assert cases["1"].metadata == {
        "starred": True,
        "entities": {"drugs": ["A"]},
        "canonical_patient_id": "p-77",
        "appointment": {
            "status": "Confirmed",
            "type": "Exam",
            "provider": "Dr. Example",
            "room": None,
            "reason": "Annual examination",
        },
    }
    assert {row.status for row in cases.values() if row.pims_id in {"3", "4"}} == {"reviewed"}
    assert (cases["1"].status, cases["4"].case_type) == ("ongoing", "surgery")
    assert (cases["1"].patient_name, cases["1"].client_name) == ("Rex", "Ann Example")
    assert {row.scheduled_date for row in cases.values()} == {DAY}
    assert theirs.checksum() == before


def test_the_applications_values_are_kept_exactly_also_those_that_python_cannot_hold(
    engine: Engine, theirs: V4Installation, wanted: AdoptionRequest
) -> None:
    clinic = theirs.clinic()
    theirs.login(clinic)
    case = theirs.case(clinic, theirs.external_id("1"), datetime(2026, 3, 20, 15, tzinfo=UTC))
    deep = "[" * 200 + "]" * 200
    kept = f'{{"huge": 1e400, "exact": 0.10000000000000000000001, "deep": {deep}}}'
    theirs.run("UPDATE cases SET metadata = %s::jsonb WHERE id = %s", kept, case)

    adopted(engine, wanted)

    (found,) = rows(
        engine,
        "SELECT id, metadata = CAST(:kept AS jsonb) AS is_same FROM cases",
        kept=kept,
    )
    assert (found.id, found.is_same) == (case, True)


@pytest.mark.usefixtures("planted")
def test_a_consultation_is_carried_over_if_it_is_whole(
    engine: Engine, wanted: AdoptionRequest
) -> None:
    result = adopted(engine, wanted)

    found = {
        row.pims_id: row.consultation
        for row in rows(
            engine, "SELECT pims_id, metadata -> 'consultation' AS consultation FROM cases"
        )
    }
    assert found["6"]["consultationId"] == "7006"
    assert found["6"]["soapNotes"]["subjective"] == "Bright and alert."
    assert {pims_id for pims_id, consultation in found.items() if consultation} == {"6"}
    assert result.cases.findings == {
        ImportFinding.RETIRED: 1,
        ImportFinding.WITHOUT_WORDS: 1,
        ImportFinding.CONSULTATION: 1,
        ImportFinding.CONSULTATION_LEFT_OUT: 1,
    }


def test_of_duplicates_the_one_that_is_referred_to_is_linked_and_the_rest_reported(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    result = adopted(engine, wanted)

    (duplicate,) = result.cases.duplicates
    assert duplicate.appointment_id == "5"
    assert (duplicate.linked, duplicate.others) == (
        planted.duplicates[0],
        (planted.duplicates[1],),
    )
    assert result.cases.of_people == 1


def test_the_history_of_an_imported_case_begins_with_its_adoption(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    adopted(engine, wanted)

    with transaction(engine) as connection:
        history = case_history(connection, planted.plain)
    (event,) = history.events
    assert (event.kind, event.audit_id, event.phase) == ("adopted", None, None)
    assert event.partition_key == f"riverbend|{DAY}"
    assert event.changes["status"] == [None, "ongoing"]


def test_again_changes_nothing(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    adopted(engine, wanted)
    before = everything(engine)

    result = adopted(engine, replace(wanted, answers=replace(wanted.answers, base_url=None)))

    assert not result.changes
    assert everything(engine) == before
    assert result.clinic.id == planted.id


def test_a_dry_run_counts_the_same_and_writes_nothing(
    engine: Engine, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    before = everything(engine)

    foreseen = adopted(engine, replace(wanted, dry_run=True))

    assert everything(engine) == before
    done = adopted(engine, wanted)
    assert foreseen.cases == done.cases
    assert (foreseen.clinic.id, done.clinic.slug) == (planted.id, foreseen.clinic.slug)
    assert (foreseen.crons, foreseen.notes) == (done.crons, done.notes)


def test_again_imports_what_is_new_there_and_links_what_both_sides_made(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    adopted(engine, wanted)
    at = datetime(2026, 3, 21, 15, tzinfo=UTC)
    new = theirs.case(planted.id, theirs.external_id("8"), at)
    both = theirs.case(planted.id, theirs.external_id("9"), at)
    ours = rows(
        engine,
        "INSERT INTO cases (clinic_id, provider_type, pims_id, patient_name, client_name, "
        "scheduled_date, scheduled_start, scheduled_end) "
        "VALUES (:clinic, 'idexx_neo', '9', 'Rex', '', '2026-03-21', now(), now()) RETURNING id",
        clinic=planted.id,
    )[0].id

    result = adopted(engine, wanted)

    assert (result.is_new, result.cases.imported, result.cases.linked) == (False, 1, 1)
    with transaction(engine) as connection:
        links = {each.case_id: each.their_case_id for each in linked_cases(connection, planted.id)}
        steps = steps_of(connection, planted.id)
    assert (links[new], links[ours]) == (new, both)
    assert [step.details["imported"] for step in steps] == [len(planted.linked), 1]


def test_a_case_whose_id_another_case_has_here_is_left_out_and_reported(
    engine: Engine, theirs: V4Installation, planted: PlantedClinic, wanted: AdoptionRequest
) -> None:
    adopted(engine, wanted)
    other = plant_clinic(theirs, DAY, "lakeside")
    # Their case went to another clinic after it was adopted here.
    column = "external_id" if theirs.is_deployed else "pims_id"
    theirs.run(
        f"UPDATE cases SET clinic_id = %s, {column} = %s WHERE id = %s",  # noqa: S608 - two names
        other.id,
        theirs.external_id("99"),
        planted.replaced,
    )

    result = adopted(engine, replace(wanted, clinic="lakeside"))

    assert result.cases.collisions == [planted.replaced]
    assert result.cases.imported == len(other.linked)


def test_a_clinic_is_adopted_through_a_pooler_with_one_connection(
    deployed: V4Installation, database_url: str, wanted: AdoptionRequest
) -> None:
    clinic = deployed.clinic()
    deployed.login(clinic)
    number = 2 * CASES_AT_ONCE + 1
    deployed.many_cases(clinic, number, datetime(2026, 3, 20, 12, tzinfo=UTC))

    with pgbouncer(database_url, size=1) as url:
        pooled = create_engine(url, pool_size=1)
        done = adopted(pooled, wanted)
        again = adopted(pooled, wanted)
        pooled.dispose()

    assert (done.cases.imported, again.changes) == (number, False)
