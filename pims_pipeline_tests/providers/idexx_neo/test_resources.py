"""The adapter's dictionary and filters by provider, at the simulator."""

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.resources import Resource, ResourceFilter, ResourceKind
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import ContractViolation, ListsResources, TransientError
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.domain.records.test_resources import excluding, including
from pims_pipeline_tests.providers.simulated_login import (
    CLINIC,
    clinic_at,
    session_without_browser,
)

DAY = date(2026, 3, 4)
WINDOW = DateRange(DAY, DAY)
COMPANY = CLINIC.company_id


def warm(simulator: SimulatorServer, resources: ResourceFilter) -> IdexxNeoProvider:
    """A logged-in adapter of a clinic that syncs these resources."""
    provider = IdexxNeoProvider(
        replace(clinic_at(simulator.base_url), resources=resources),
        ProviderOptions(
            login=LoginOptions(artifacts_dir=Path("unused")),
            requests=RequestOptions(per_second=1000, retry_base_delay=0.001),
        ),
    )
    provider.restore_session(session_without_browser(simulator.base_url))
    return provider


def resources_of(provider: IdexxNeoProvider, identity: str) -> tuple[str, ...] | None:
    (found,) = (
        each
        for each in provider.fetch_appointments(WINDOW).appointments
        if each.appointment_id == identity
    )
    return found.resources


def test_the_dictionary_lists_rooms_columns_and_providers_under_their_present_names(
    warm_provider: IdexxNeoProvider, control: SimulatorControl
) -> None:
    assert isinstance(warm_provider, ListsResources)
    control.rename_room(COMPANY, 12, "Exam B")
    found = warm_provider.list_resources()
    rooms = [each for each in found if each.kind is ResourceKind.ROOM]
    assert rooms[:2] == [
        Resource(ResourceKind.ROOM, "11", "Room 1"),
        Resource(ResourceKind.ROOM, "12", "Exam B"),
    ]
    assert {each.kind for each in found} == set(ResourceKind)


def test_a_room_keeps_its_id_when_it_is_renamed_and_a_lookup_has_the_same(
    warm_provider: IdexxNeoProvider, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, datetime(2026, 3, 4, 9), room="Room 2").id  # noqa: DTZ001
    assert resources_of(warm_provider, booked) == ("room:12",)
    control.rename_room(COMPANY, 12, "Exam B")
    (found,) = (
        each
        for each in warm_provider.fetch_appointments(WINDOW).appointments
        if each.appointment_id == booked
    )
    assert (found.room, found.resources) == ("Exam B", ("room:12",))
    assert warm_provider.lookup_appointment(booked).resources == ("room:12",)
    control.move_to_room(COMPANY, booked, "Annexe")
    (unlisted,) = resources_of(warm_provider, booked) or ()
    assert unlisted not in {each.key for each in warm_provider.list_resources()}
    control.move_to_room(COMPANY, booked, None)
    assert resources_of(warm_provider, booked) == ()


def test_a_filter_by_provider_takes_the_ids_from_the_dictionary(
    simulator: SimulatorServer, control: SimulatorControl
) -> None:
    start = datetime(2026, 3, 4, 9)  # noqa: DTZ001 - a wall clock has no zone
    booked = control.book(COMPANY, start, provider="Dr. Ada Fenwick").id
    before = control.stats().requests["dictionary"]
    by_room, by_provider = (
        warm(simulator, including("room:11")),
        warm(simulator, excluding("provider:2")),
    )
    try:
        assert resources_of(by_room, booked) == ("column:1", "provider:?")
        assert control.stats().requests["dictionary"] == before
        assert resources_of(by_provider, booked) == ("column:1", "provider:1")
        assert control.stats().requests["dictionary"] == before + 1
    finally:
        by_room.close()
        by_provider.close()


@pytest.mark.parametrize(
    ("fault", "error"), [("server_error", TransientError), ("html", ContractViolation)]
)
def test_without_the_dictionary_a_filter_by_provider_fails_and_concludes_nothing(
    simulator: SimulatorServer, control: SimulatorControl, fault: str, error: type[Exception]
) -> None:
    start = datetime(2026, 3, 4, 9)  # noqa: DTZ001 - a wall clock has no zone
    control.book(COMPANY, start, provider="Dr. Ada Fenwick")
    provider = warm(simulator, excluding("provider:2"))
    control.add_fault(fault, endpoint="dictionary", times=None, retry_after=0.001)
    try:
        with pytest.raises(error, match="rooms and providers"):
            provider.fetch_appointments(WINDOW)
    finally:
        provider.close()
