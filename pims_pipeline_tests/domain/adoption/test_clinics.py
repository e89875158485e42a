"""What a clinic becomes: what is stored, what is said, and what must be said."""

from uuid import UUID

import pytest

from pims_pipeline.domain.adoption.clinics import (
    AdoptionRefused,
    ClinicAnswers,
    ClinicRegistration,
    UnknownV4Clinic,
    clinic_named,
    facts_of,
    schedule_from,
)
from pims_pipeline.domain.adoption.v4 import Layout, V4Clinic, V4Schedule
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import DEFAULT_SCHEDULES

URL = "https://pims.example"


def clinic(
    *,
    number: int = 1,
    slug: str | None = "riverbend",
    pims_type: str | None = "idexx",
    timezone: str | None = "America/New_York",
) -> V4Clinic:
    return V4Clinic(
        id=UUID(int=number),
        name="Riverbend",
        slug=slug,
        pims_type=pims_type,
        timezone=timezone,
        is_in_use=True,
    )


def schedule(timezone: str | None = None, crons: object = ()) -> V4Schedule:
    assert isinstance(crons, list | tuple | dict)
    return V4Schedule(sync_schedules=crons, timezone=timezone, target_room_id=None)


def facts(
    found: V4Clinic,
    layout: Layout = Layout.DEPLOYED,
    of_crons: str | None = None,
    **said: str,
) -> ClinicRegistration:
    return facts_of(found, layout, schedule(of_crons), ClinicAnswers(**{"base_url": URL, **said}))


def test_what_is_stored_is_taken_over() -> None:
    found = facts(clinic())
    assert (found.slug, found.timezone, found.provider_type, found.notes) == (
        "riverbend",
        "America/New_York",
        "idexx_neo",
        (),
    )


def test_a_deployed_clinic_without_a_zone_has_theirs_and_says_so() -> None:
    found = facts(clinic(timezone=None))
    assert found.timezone == "America/Los_Angeles"
    assert "America/Los_Angeles" in found.notes[0]


def test_what_is_said_takes_precedence_over_a_missing_zone() -> None:
    found = facts(clinic(timezone=None), of_crons="America/Denver", timezone="America/Chicago")
    assert found.timezone == "America/Chicago"
    assert "America/Denver" in found.notes[0]


@pytest.mark.parametrize(
    ("layout", "of_crons"),
    [(Layout.DOCUMENTED, None), (Layout.DEPLOYED, "America/New_York")],
)
def test_a_zone_that_cannot_be_assumed_must_be_said(layout: Layout, of_crons: str | None) -> None:
    with pytest.raises(AdoptionRefused, match="--timezone"):
        facts(clinic(timezone=None), layout, of_crons)


def test_an_unknown_zone_must_be_corrected() -> None:
    with pytest.raises(AdoptionRefused, match=r"'Mars/Olympus'.*--timezone"):
        facts(clinic(timezone="Mars/Olympus"))


@pytest.mark.parametrize("pims_type", [None, "other"])
def test_an_unknown_system_must_be_said(pims_type: str | None) -> None:
    with pytest.raises(AdoptionRefused, match="--provider"):
        facts(clinic(pims_type=pims_type))
    assert facts(clinic(pims_type=pims_type), provider_type="idexx_neo").provider_type


@pytest.mark.parametrize("slug", [None, "Not A Slug", "x"])
def test_a_slug_that_cannot_be_one_must_be_said(slug: str | None) -> None:
    with pytest.raises(AdoptionRefused, match="--slug"):
        facts(clinic(slug=slug))
    assert facts(clinic(slug=slug), slug="riverbend").slug == "riverbend"


def test_a_clinic_is_found_by_slug_or_id() -> None:
    clinics = [clinic(), clinic(number=2, slug=None)]
    assert clinic_named(clinics, "riverbend").id == UUID(int=1)
    assert clinic_named(clinics, str(UUID(int=2))).id == UUID(int=2)
    with pytest.raises(UnknownV4Clinic, match="no clinic 'lakeside'"):
        clinic_named(clinics, "lakeside")
    with pytest.raises(UnknownV4Clinic, match="2 clinics"):
        clinic_named([clinic(), clinic(number=2)], "riverbend")


def test_both_shapes_of_a_schedule_give_the_same_crons() -> None:
    of_list = [
        {"type": "inbound", "cron": "*/20 * * * *", "enabled": True},
        {"type": "reconciliation", "cron": "0 3 * * *", "enabled": False},
    ]
    of_object = {"inbound": "*/20 * * * *", "reconciliation": None}
    expected = {Phase.INBOUND: "*/20 * * * *", Phase.CASES: "off", Phase.RECONCILIATION: "off"}
    assert schedule_from(schedule(crons=of_list)).crons == expected
    assert schedule_from(schedule(crons=of_object)).crons == expected
    of_both = {
        "inbound": {"cron": "*/20 * * * *", "enabled": True},
        "reconciliation": {"cron": "0 3 * * *", "enabled": False},
    }
    assert schedule_from(schedule(crons=of_both)).crons == expected


def test_a_clinic_without_a_schedule_has_the_defaults() -> None:
    assert schedule_from(None).crons == DEFAULT_SCHEDULES


def test_what_cannot_be_taken_over_is_noted() -> None:
    found = schedule_from(
        schedule(
            crons=[
                {"type": "inbound", "cron": "*/5 * * * *"},
                {"type": "inbound", "cron": "*/9 * * * *"},
                {"type": "outbound", "cron": "0 1 * * *"},
                "nonsense",
            ]
        )
    )
    assert found.crons[Phase.INBOUND] == "*/5 * * * *"
    assert len(found.notes) == 2
