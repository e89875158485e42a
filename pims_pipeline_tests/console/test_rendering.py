"""Filters of templates: what they make of any value, and of a zone that is not known."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from pims_pipeline.console.rendering import clock_time, local_time, shown_fact
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.console.browsers import SignIn
from pims_pipeline_tests.console.practice import add_day

ZONE = "America/New_York"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2026-03-09T14:05:00+00:00", "2026-03-09 10:05"),
        # A name that looks like a time, and is none.
        ("2026-13-45T25:61:61+00:00", "2026-13-45T25:61:61+00:00"),
        # It would lie before the calendar begins.
        ("0001-01-01T00:00:00+00:00", "0001-01-01 00:00"),
        (None, "—"),
    ],
)
def test_a_value_of_a_change_is_shown_as_the_clinics_clocks_show_it(
    value: str | None, shown: str
) -> None:
    assert shown_fact(value, ZONE) == shown


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from([ZONE, "Pacific/Apia", "UTC"]))
def test_every_time_can_be_shown(when: datetime, zone: str) -> None:
    assert len(local_time(when, zone)) == len("2026-03-09 14:05")
    assert local_time(when, zone).endswith(clock_time(when, zone))
    assert shown_fact(when.astimezone(UTC).isoformat(), zone)


def test_a_time_zone_that_this_host_does_not_know_is_said_on_the_clinics_pages(
    engine: Engine, clinic: Clinic, other_clinic: Clinic, sign_in: SignIn
) -> None:
    ben = sign_in("ben", OperatorRole.VIEWER)
    with transaction(engine) as connection:
        case_id = add_day(connection, clinic)
        connection.execute(text("UPDATE clinics SET timezone = 'Mars/Base'"))
        connection.execute(
            text("UPDATE clinics SET timezone = 'UTC' WHERE id = :id"), {"id": other_clinic.id}
        )

    for path in (f"/cases/{case_id}", f"/clinics/{clinic.slug}", f"/clinics/{clinic.slug}/sync"):
        refused = ben.get(path)
        assert (path, refused.status_code) == (path, 400)
        assert "unknown time zone &#39;Mars/Base&#39;" in refused.text
    for path in ("/", "/schedules", f"/clinics/{other_clinic.slug}"):
        assert (path, ben.get(path).status_code) == (path, 200)
