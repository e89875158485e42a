"""Their rows in both layouts: the layout itself, clinics, cases in batches, logins, references."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine

from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.store.database.batches import ROWS_PER_FETCH
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.v4.cases import cases_of
from pims_pipeline.store.v4.clinics import clinics_of, schedule_of
from pims_pipeline.store.v4.counting import case_counts, duplicate_candidates, sync_counts
from pims_pipeline.store.v4.credentials import newest_credentials_of
from pims_pipeline.store.v4.installation import Installation, find_installation
from pims_pipeline.store.v4.references import reference_counts, references_to_cases
from pims_pipeline_tests.adoption.planted import V4Installation

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with transaction(engine) as connection:
        yield connection


@pytest.fixture
def found(connection: Connection, theirs: V4Installation) -> Installation:
    return find_installation(connection, theirs.schema)


def test_the_layout_is_found_by_its_columns(theirs: V4Installation, found: Installation) -> None:
    assert found.layout is theirs.layout
    assert found.has("cases", "external_id") is theirs.is_deployed
    assert found.has("patients") is theirs.is_deployed


def test_a_name_with_quotes_and_colons_is_no_way_into_a_statement(
    engine: Engine, database_url: str
) -> None:
    schema = 'it"s :x'
    with V4Installation(database_url, Layout.DOCUMENTED, schema) as theirs:
        clinic = theirs.clinic()
        case = theirs.case(clinic, "1", NOON)
        with transaction(engine) as connection:
            found = find_installation(connection, schema)
            assert [each.id for each in clinics_of(connection, found)] == [clinic]
            assert [each.id for each in cases_of(connection, found, clinic)] == [case]
            assert list(duplicate_candidates(connection, found, clinic)) == []
            assert references_to_cases(connection, found)[0].schema == schema


def test_clinics_are_read_with_what_the_layout_has(
    theirs: V4Installation, connection: Connection, found: Installation
) -> None:
    named, unnamed = theirs.clinic(), theirs.clinic(None, timezone=None)

    clinics = clinics_of(connection, found)

    assert [each.id for each in clinics] == [named, unnamed]
    assert (clinics[0].slug, clinics[1].timezone) == ("riverbend", None)
    assert clinics[0].pims_type == ("idexx" if theirs.is_deployed else None)


def test_a_schedule_is_read_in_either_shape(
    theirs: V4Installation, connection: Connection, found: Installation
) -> None:
    clinic = theirs.clinic()
    assert schedule_of(connection, found, clinic) is None
    room = {"target_room_id": "12"} if theirs.is_deployed else {}
    theirs.schedule(clinic, {"inbound": "*/5 * * * *"}, **room)

    schedule = schedule_of(connection, found, clinic)

    assert schedule is not None
    assert isinstance(schedule.sync_schedules, list if theirs.is_deployed else dict)
    assert schedule.target_room_id == room.get("target_room_id")


def test_more_cases_than_a_batch_are_read_while_other_statements_run(
    theirs: V4Installation, connection: Connection, found: Installation
) -> None:
    clinic = theirs.clinic()
    theirs.many_cases(clinic, 2 * ROWS_PER_FETCH + 1, NOON)

    seen = set()
    for number, case in enumerate(cases_of(connection, found, clinic)):
        if number % 900 == 0:
            clinics_of(connection, found)
        assert case.patient is not None
        assert case.patient.name == "Rex"
        seen.add(case.appointment_id)

    assert seen == {str(number) for number in range(1, 2 * ROWS_PER_FETCH + 2)}


def test_only_the_cases_of_the_given_dates_are_read(
    theirs: V4Installation, connection: Connection, found: Installation
) -> None:
    clinic, other = theirs.clinic(), theirs.clinic("lakeside")
    cases = [theirs.case(clinic, str(number), NOON + timedelta(days=number)) for number in range(4)]
    theirs.case(clinic, None, None)
    theirs.case(other, "9", NOON + timedelta(days=1))
    window = DateRange(date(2026, 3, 21), date(2026, 3, 22))

    read = list(cases_of(connection, found, clinic, dates=window, zone=UTC_ZONE))

    assert {case.id for case in read} == set(cases[1:3])
    assert {case.date_in(UTC_ZONE) for case in read} == {window.start, window.end}


def test_metadata_that_is_no_object_reads_as_empty(
    theirs: V4Installation, connection: Connection, found: Installation
) -> None:
    clinic = theirs.clinic()
    case = theirs.case(clinic, "1", NOON)
    theirs.run("UPDATE cases SET metadata = '[1]' WHERE id = %s", case)

    (read,) = cases_of(connection, found, clinic)

    assert (read.id, read.metadata) == (case, {})


def test_the_newest_active_credentials_count(
    theirs: V4Installation, connection: Connection, found: Installation
) -> None:
    clinic = theirs.clinic()
    assert newest_credentials_of(connection, found, clinic) is None
    theirs.login(clinic, key_id="old", updated_at=NOON)
    theirs.login(clinic, key_id="current", updated_at=NOON + timedelta(days=1))
    theirs.login(clinic, key_id="withdrawn", updated_at=NOON + timedelta(days=2), is_active=False)

    newest = newest_credentials_of(connection, found, clinic)

    assert newest is not None
    assert newest.key_id == "current"
    assert (newest.document is None) is theirs.is_deployed
    assert "encrypted" not in repr(newest)


def test_rows_of_any_table_that_refers_to_a_case_are_counted(
    theirs: V4Installation, connection: Connection, found: Installation
) -> None:
    clinic = theirs.clinic()
    cases = [theirs.case(clinic, str(number), NOON) for number in range(3)]
    theirs.note(cases[0])
    theirs.note(cases[0])
    theirs.note(cases[2])

    assert reference_counts(connection, found, cases[:2]) == {cases[0]: 2}
    tables = {each.table for each in references_to_cases(connection, found)}
    assert tables == (
        {
            *("calls", "scheduled_emails", "notes", "discharge_summaries"),
            *("soap_notes", "vital_signs", "transcriptions"),
        }
        if theirs.is_deployed
        else {"case_notes"}
    )


def test_cases_and_syncs_are_counted(
    theirs: V4Installation, connection: Connection, found: Installation
) -> None:
    clinic = theirs.clinic()
    theirs.case(clinic, theirs.external_id("1"), NOON)
    theirs.case(clinic, theirs.external_id("2"), None)
    theirs.case(clinic, None, NOON, source="manual")
    retired = {"reconciliation": {"deleted": True}}
    theirs.case(clinic, theirs.external_id("3"), NOON, status="reviewed", metadata=retired)
    theirs.audit(clinic, "in_progress")

    counts = case_counts(connection, found)

    assert sum(each.cases for each in counts) == 4
    assert sum(each.of_appointments for each in counts) == 3
    assert sum(each.retired for each in counts) == 1
    assert sum(each.without_time for each in counts) == 1
    (syncs,) = sync_counts(connection, found)
    assert (syncs.clinic_id, syncs.in_progress, syncs.last_completed) == (clinic, 1, None)


def test_only_cases_that_share_an_appointment_may_be_duplicates(
    theirs: V4Installation, connection: Connection, found: Installation
) -> None:
    clinic = theirs.clinic()
    same = {
        theirs.case(clinic, theirs.external_id("1"), NOON),
        theirs.case(clinic, "idexx-appt-1", NOON),
    }
    theirs.case(clinic, theirs.external_id("2"), NOON)
    theirs.case(clinic, None, NOON)
    theirs.case(clinic, None, NOON)

    candidates = list(duplicate_candidates(connection, found, clinic))

    assert {each.id for each in candidates} == same
    assert {each.appointment_id for each in candidates} == {"1"}
