"""What a vendor says about a clinic, compared with what is registered."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pims_pipeline.domain.records.clinic_words import own_words, typed_meaning
from pims_pipeline.domain.records.profiles import (
    AppointmentType,
    ClinicProfile,
    Location,
    ZoneMatch,
    compared_zone,
    guessed_words,
)
from pims_pipeline.domain.records.word_uses import WordBasis
from pims_pipeline.domain.records.words import DEFAULT_WORDS, WordKind

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stated", "match"),
    [
        (None, ZoneMatch.NOT_STATED),
        ("America/New_York", ZoneMatch.SAME),
        (" US/Eastern ", ZoneMatch.SAME),
        ("America/Toronto", ZoneMatch.SAME),
        ("America/Chicago", ZoneMatch.DIFFERENT),
        ("America/Panama", ZoneMatch.DIFFERENT),
        ("Eastern Time (US & Canada)", ZoneMatch.UNREADABLE),
        ("", ZoneMatch.UNREADABLE),
        ("localtime", ZoneMatch.UNREADABLE),
    ],
)
def test_zones_are_compared_by_what_their_clocks_show(stated: str | None, match: ZoneMatch) -> None:
    assert compared_zone(stated, ZoneInfo("America/New_York"), NOW) is match


def test_the_zone_is_that_of_the_location_that_is_synced() -> None:
    east = Location(id="1", timezone="America/New_York")
    west = Location(id="2", timezone="America/Denver")
    assert ClinicProfile().zone is None
    assert ClinicProfile(locations=(west,)).zone == "America/Denver"
    assert ClinicProfile(locations=(east, west)).zone is None
    assert ClinicProfile(locations=(east, west), location_id="2").zone == "America/Denver"
    assert ClinicProfile(locations=(east,), location_id="2").zone is None
    assert ClinicProfile(timezone="UTC", locations=(east,)).zone == "UTC"


def test_only_words_that_decide_and_are_in_no_list_are_guesses() -> None:
    profile = ClinicProfile(
        types=(
            AppointmentType(name="Exam"),
            AppointmentType(name="Dental - Surgery"),
            AppointmentType(name="Vax", is_surgery=False),
            AppointmentType(name="TPLO", is_surgery=True),
            AppointmentType(name="Lunch", is_block=True),
            AppointmentType(name="Zahn"),
        ),
        statuses=("CHECKED-IN", "Weighed"),
    )
    own = own_words([typed_meaning("zahn=surgery", WordKind.TYPE)])
    found = guessed_words(profile, DEFAULT_WORDS, own)
    assert [(each.word, each.basis) for each in found] == [
        ("Weighed", WordBasis.UNKNOWN),
        ("Vax", WordBasis.UNKNOWN),
        ("Dental - Surgery", WordBasis.PART),
    ]
