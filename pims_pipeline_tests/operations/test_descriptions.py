"""What a vendor says about a clinic, and what providers that cannot say it leave open."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.cli.terminal.clinic_words import facts, warnings
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.records.profiles import AppointmentType, ClinicProfile, Location
from pims_pipeline.domain.records.shapes import Endpoint, shapes_of
from pims_pipeline.operations.credentials import LoginCheck, check_login
from pims_pipeline.operations.resources import ResourcesNotListed, vendor_resources
from pims_pipeline.providers.port import ContractViolation, SessionExpired
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.providers.fake import FakeProvider, FakeVendor

MAIN, NORTH = Location(id="11", name="Main"), Location(id="12", timezone="America/Chicago")


@dataclass
class Describing(FakeProvider):
    """A provider that describes its clinic, or fails to."""

    vendor: FakeVendor
    said: ClinicProfile | Exception

    def __post_init__(self) -> None:
        super().__init__(self.vendor)

    def clinic_profile(self) -> ClinicProfile:
        """See the port."""
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


Check = Callable[[ClinicProfile | Exception | None], LoginCheck]


@pytest.fixture
def vendor(engine: Engine, vault: Vault, clinic: Clinic) -> FakeVendor:
    made = FakeVendor(clinic.zone)
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, made.credentials.to_mapping())
    return made


@pytest.fixture
def check(engine: Engine, vault: Vault, clinic: Clinic, vendor: FakeVendor) -> Check:
    def checked(said: ClinicProfile | Exception | None) -> LoginCheck:
        return check_login(
            engine,
            vault,
            clinic.slug,
            lambda _: FakeProvider(vendor) if said is None else Describing(vendor, said),
            run_id="test",
        )

    return checked


def said(done: LoginCheck) -> tuple[list[str], list[str]]:
    assert (done.status, done.failure) == (CredentialStatus.VALID, None)
    assert done.description is not None
    return list(facts(done.description)), list(warnings(done.description))


def test_another_zone_is_named_with_the_command_that_changes_ours(
    check: Check, clinic: Clinic
) -> None:
    found, warned = said(check(ClinicProfile(locations=(MAIN, NORTH), location_id="12")))
    assert found == [
        "The vendor's time zone: America/Chicago",
        "The locations that it opens: 11 Main; 12 (America/Chicago)",
        "The location that is synced: 12",
    ]
    (warning,) = warned
    assert f"{clinic.slug} is America/Chicago, and ours is {clinic.timezone}. " in warning
    assert warning.endswith(f": pims clinics timezone {clinic.slug} America/Chicago")


def test_a_zone_that_is_no_iana_name_and_the_same_zone(check: Check, clinic: Clinic) -> None:
    assert said(check(ClinicProfile(timezone=clinic.timezone)))[1] == []
    (warned,) = said(check(ClinicProfile(timezone="Pacific Time")))[1]
    assert "'Pacific Time', which is no IANA name; ours is " in warned


def test_guesses_are_one_line_of_each_kind(check: Check, clinic: Clinic) -> None:
    types = [AppointmentType(name=f"Zahn {number}") for number in range(12)]
    profile = ClinicProfile(types=(*types, AppointmentType(name="Exam!")), statuses=("Weighed",))
    status, unknown, part = said(check(profile))[1]
    assert status.endswith(f"pims clinics words {clinic.slug} --status 'Weighed=…'")
    assert "'Zahn 0' (checkup)" in unknown
    assert ", and 2 more. If one is wrong: " in unknown
    assert "guessed from a part of each: 'Exam!' (checkup)" in part


@pytest.mark.parametrize(
    "error", [ContractViolation("not JSON"), SessionExpired("log in first")], ids=str
)
def test_a_vendor_that_refuses_is_a_warning_and_no_second_login(
    check: Check, vendor: FakeVendor, error: Exception
) -> None:
    found, (warned,) = said(check(error))
    assert found == []
    assert warned == f"The vendor does not describe the clinic; syncs do not need it. {error}"
    assert vendor.logins == 1


def test_the_shapes_of_the_description_are_kept(check: Check, engine: Engine) -> None:
    dictionary = {"rooms": [{"name": "Room 1"}]}
    shapes = shapes_of(Endpoint.DICTIONARY, dictionary, {"rooms", "name"})
    check(ClinicProfile(shapes=shapes))
    with transaction(engine) as connection:
        kept = connection.scalars(text("SELECT path FROM vendor_shapes ORDER BY path")).all()
    assert kept == [
        "dictionary",
        "dictionary.rooms",
        "dictionary.rooms[]",
        "dictionary.rooms[].name",
    ]


def test_a_provider_that_describes_no_clinics_says_nothing(check: Check) -> None:
    assert said(check(None)) == ([], [])


def test_a_provider_that_lists_no_resources_is_named_without_a_login(
    engine: Engine, vault: Vault, clinic: Clinic, vendor: FakeVendor
) -> None:
    with pytest.raises(ResourcesNotListed, match=f"the provider {clinic.provider_type} of "):
        vendor_resources(engine, vault, clinic.slug, lambda _: FakeProvider(vendor), run_id="test")
    assert vendor.logins == 0
