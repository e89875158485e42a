"""The pages to which Dagster links: what a sync changed, and the syncs of a run."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.console.browsers import Browser, SignIn
from pims_pipeline_tests.console.practice import (
    DAY,
    RUN,
    add_case,
    begin_sync,
    record_change,
)

LINKS = ConsoleLinks("https://pims.example/console")


@pytest.fixture
def ben(sign_in: SignIn, clinic: Clinic) -> Browser:
    """A viewer of the clinic."""
    return sign_in("ben", OperatorRole.VIEWER, clinic.slug)


def changed_by(
    engine: Engine, clinic: Clinic, phase: Phase = Phase.INBOUND, times: int = 1
) -> tuple[UUID, UUID]:
    """A sync that changed a case; gives the ids of both."""
    with transaction(engine) as connection:
        audit_id = begin_sync(connection, clinic, phase)
        case_id = add_case(connection, clinic, pims_id=f"A-{audit_id}")
        record_change(
            connection,
            clinic,
            case_id,
            audit_id,
            {"client_name": ("Ann", "Ann Lee"), "metadata": ({}, {"room": "3"})},
            times=times,
        )
    return audit_id, case_id


def test_a_sync_shows_what_it_changed_case_by_case(
    engine: Engine, clinic: Clinic, ben: Browser
) -> None:
    audit_id, case_id = changed_by(engine, clinic)
    others_audit, _ = changed_by(engine, clinic, Phase.CASES)

    page = ben.get(f"/clinics/{clinic.slug}/changes/{audit_id}?date={DAY}").text

    partition = f"assets/appointments?view=partitions&amp;partition={clinic.slug}%7C{DAY}"
    for part in (
        f'<a href="/console/cases/{case_id}">Rex</a>',
        '<th scope="row">client name</th><td><span class="before">Ann</span></td><td>Ann Lee</td>',
        '<th scope="row">metadata room</th>',
        f'<a href="/console/runs/{RUN}">',
        f'<a href="http://dagster.example/runs/{RUN}">',
        f'<a href="http://dagster.example/{partition}">',
        "1 change, in the order they were made",
    ):
        assert part in page
    assert str(others_audit) not in page
    with transaction(engine) as connection:
        [seen] = connection.execute(
            text("SELECT clinic_id, details FROM operator_log WHERE action = 'sync_seen'")
        )
    assert (seen.clinic_id, seen.details) == (
        clinic.id,
        {"sync": str(audit_id), "date": DAY.isoformat()},
    )


def test_a_date_without_changes_leads_to_those_with_some(
    engine: Engine, clinic: Clinic, ben: Browser
) -> None:
    audit_id, _ = changed_by(engine, clinic)
    address = f"/clinics/{clinic.slug}/changes/{audit_id}"

    empty = ben.get(f"{address}?date={DAY + timedelta(days=1)}").text

    assert "It changed no case of this date." in empty
    assert f'<a href="?date={DAY}">{DAY} (1)</a>' in empty
    # Without a date, the first with changes.
    assert "1 change, in the order" in ben.get(address).text


def test_fifty_changes_are_shown_at_a_time(engine: Engine, clinic: Clinic, ben: Browser) -> None:
    audit_id, _ = changed_by(engine, clinic, times=120)
    address = f"/clinics/{clinic.slug}/changes/{audit_id}?date={DAY}"

    first, last = ben.get(address).text, ben.get(f"{address}&page=3").text

    assert (first.count('id="event-'), last.count('id="event-')) == (50, 20)
    assert f"?page=2&amp;date={DAY}" in first or f"?page=2&date={DAY}" in first


def test_a_case_that_is_gone_has_no_link(engine: Engine, clinic: Clinic, ben: Browser) -> None:
    with transaction(engine) as connection:
        audit_id = begin_sync(connection, clinic)
        gone = uuid4()
        record_change(connection, clinic, gone, audit_id, {"status": ("draft", "reviewed")})

    page = ben.get(f"/clinics/{clinic.slug}/changes/{audit_id}").text

    assert "a case that is gone" in page
    assert f"/cases/{gone}" not in page


def test_syncs_of_other_clinics_do_not_exist(
    engine: Engine, clinic: Clinic, other_clinic: Clinic, ben: Browser
) -> None:
    own, _ = changed_by(engine, clinic)
    others, others_case = changed_by(engine, other_clinic)

    for missing in (
        f"/clinics/{other_clinic.slug}/changes/{others}",
        # Another clinic's sync below one's own clinic.
        f"/clinics/{clinic.slug}/changes/{others}",
        f"/clinics/{clinic.slug}/changes/{uuid4()}",
        f"/runs/{uuid4()}",
    ):
        refused = ben.get(missing)
        assert refused.status_code == 404
        assert str(others_case) not in refused.text
    run = ben.get(f"/runs/{RUN}").text
    assert f"/clinics/{clinic.slug}/changes/{own}" in run
    assert other_clinic.slug not in run
    assert str(others) not in run


def test_a_run_that_synced_other_clinics_alone_does_not_exist(
    engine: Engine, other_clinic: Clinic, ben: Browser
) -> None:
    changed_by(engine, other_clinic)

    assert ben.get(f"/runs/{RUN}").status_code == 404


def test_each_link_leads_to_a_page(engine: Engine, clinic: Clinic, ben: Browser) -> None:
    audit_id, case_id = changed_by(engine, clinic)

    for link in (
        LINKS.day(clinic.slug, DAY),
        LINKS.changes(clinic.slug, audit_id, DAY),
        LINKS.case(case_id),
        LINKS.run(RUN),
    ):
        assert ben.get(link.removeprefix(LINKS.url)).status_code == 200


def test_a_link_leads_through_the_sign_in_page_to_itself(
    engine: Engine, clinic: Clinic, browser: Browser
) -> None:
    audit_id, _ = changed_by(engine, clinic)
    link = LINKS.changes(clinic.slug, audit_id, DAY).removeprefix(LINKS.url)

    led = browser.get(link)

    assert led.status_code == 303
    assert led.headers["location"].endswith(
        f"?next=/clinics/{clinic.slug}/changes/{audit_id}%3Fdate%3D{DAY}"
    )


def test_a_retired_case_says_so(engine: Engine, clinic: Clinic, ben: Browser) -> None:
    with transaction(engine) as connection:
        audit_id = begin_sync(connection, clinic, Phase.RECONCILIATION)
        case_id = add_case(connection, clinic)
        changes = {"status": ("draft", "reviewed")}
        kind = EventKind.SOFT_DELETED
        record_change(connection, clinic, case_id, audit_id, changes, kind=kind)

    page = ben.get(f"/clinics/{clinic.slug}/changes/{audit_id}?date={DAY}").text

    assert '<span class="mark soft_deleted">soft deleted</span>' in page
    assert "/assets/reconciliation?" in page
