"""What changed since a moment, from end to end, and when the calendar must be listed instead."""

from datetime import UTC, datetime, timedelta

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import Snapshot
from pims_pipeline.providers.port import ContractViolation, TransientError
from pims_pipeline.providers.vetspire import documents
from pims_pipeline.providers.vetspire.client import VetspireClient
from pims_pipeline.providers.vetspire.provider import VetspireProvider
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.providers.vetspire.clinics import CHICAGO, DAY, at, by_identity, listed

COMPANY = CHICAGO.company_id
WEEK = DateRange(DAY - timedelta(days=3), DAY + timedelta(days=3))


def changes(provider: VetspireProvider, *, minutes: int = 5) -> Snapshot | None:
    return provider.changes_since(datetime.now(UTC) - timedelta(minutes=minutes), WEEK)


def test_they_are_two_requests_and_hold_what_people_did(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    first, second, third, *others = sorted(
        each.appointment_id for each in listed(provider).values() if each.makes_case
    )
    before = control.stats().requests["listing"]
    booked = control.book(COMPANY, at(9)).id
    control.finish(COMPANY, first)
    control.delete(COMPANY, second)
    control.move(COMPANY, third, at(9) + timedelta(days=30))

    found = changes(provider)

    assert control.stats().requests["listing"] == before + 2
    assert found is not None
    assert {booked, first} <= by_identity(found).keys()
    assert not {second, third, *others} & by_identity(found).keys()
    assert {second, third} <= set(found.left)
    assert not {booked, first, *others} & set(found.left)


def test_finished_and_cancelled_appointments_are_among_them(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    finished, cancelled = (control.book(COMPANY, at(hour)).id for hour in (9, 10))
    control.finish(COMPANY, finished)
    control.cancel(COMPANY, cancelled)

    found = changes(provider)

    assert found is not None
    assert {finished, cancelled} <= by_identity(found).keys()


def test_more_than_a_page_of_changes_is_listed_instead(
    provider: VetspireProvider, control: SimulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VetspireProvider, "page_rows", 3)
    for minute in range(3):
        control.book(COMPANY, at(9, minute))

    assert changes(provider) is None


def test_a_page_that_the_vendor_cuts_short_is_listed_instead(
    provider: VetspireProvider, control: SimulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = VetspireClient.query_records

    def capped(client: VetspireClient, document: str, asked: dict[str, int], **how: object):  # type: ignore[no-untyped-def]
        if "since" in asked:
            asked = {**asked, "limit": min(asked["limit"], 10)}
        return query(client, document, asked, **how)  # type: ignore[arg-type]  # as the method's

    monkeypatch.setattr(VetspireClient, "query_records", capped)
    for minute in range(10):
        control.book(COMPANY, at(9, minute))
    found = changes(provider)
    assert found is not None
    assert len(found.appointments) == 10

    control.book(COMPANY, at(10))
    assert changes(provider) is None


def test_a_record_that_the_vendor_fails_over_is_left_to_a_listing(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, at(9)).id
    control.add_fault("poisoned_row", appointment_id=booked, times=None)

    assert changes(provider) is None


@pytest.mark.parametrize("fault", ["graphql_errors", "partial_data", "not_a_list"])
def test_what_is_no_list_of_changes_is_refused(
    provider: VetspireProvider, control: SimulatorControl, fault: str
) -> None:
    control.add_fault(fault, endpoint="listing", times=None)

    with pytest.raises((TransientError, ContractViolation)):
        changes(provider)


def test_a_vendor_that_ignores_the_argument_deletes_nothing(
    provider: VetspireProvider, control: SimulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.book(COMPANY, at(9))
    monkeypatch.setattr(documents, "DELETED", documents.CHANGED)

    assert changes(provider) is None


def test_a_row_of_another_location_never_reaches_the_clinic(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, at(9)).id
    control.add_fault("other_location", endpoint="listing", times=None)

    found = changes(provider)

    assert found is None or by_identity(found).keys() <= {booked}


def test_the_moment_is_sent_in_utc_without_a_zone(
    provider: VetspireProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    query = VetspireClient.query_records

    def noting(client: VetspireClient, document: str, variables: dict[str, object], **how: object):  # type: ignore[no-untyped-def]
        sent.append(variables.get("since"))
        return query(client, document, variables, **how)  # type: ignore[arg-type]  # as the method's

    monkeypatch.setattr(VetspireClient, "query_records", noting)
    moment = datetime.fromisoformat("2026-03-04T12:00:00+01:00")
    provider.changes_since(moment, WEEK)

    assert sent[:2] == ["2026-03-04T11:00:00", "2026-03-04T11:00:00"]
