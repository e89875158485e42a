"""Which consultations are whole, and that what is carried over can be read by a sync."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.adoption.consultations import carried_consultation

FETCHED = datetime(2026, 1, 2, tzinfo=UTC)
WHOLE: dict[str, Any] = {
    "appointmentId": "4",
    "consultationId": 70,
    "notes": "Well.",
    "patient": {"id": "p-1", "name": "Rex"},
    "vitals": {"weight": 12},
}


def test_a_whole_one_is_kept_with_its_own_fields() -> None:
    found = carried_consultation(WHOLE, "4", fetched_at=FETCHED)
    assert found is not None
    assert found["consultationId"] == "70"
    assert found["fetchedAt"] == "2026-01-02T00:00:00+00:00"
    assert (found["vitals"], found["patient"]) == (WHOLE["vitals"], WHOLE["patient"])
    assert len(found["digest"]) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"consultationId": None},
        {"consultationId": True},
        {"appointmentId": "5"},
        {"notes": " "},
        {"notes": None, "soapNotes": {"plan": ""}},
    ],
)
def test_one_that_is_not_whole_is_left_out(change: dict[str, Any]) -> None:
    assert carried_consultation({**WHOLE, **change}, "4", fetched_at=FETCHED) is None


@given(
    st.dictionaries(
        st.sampled_from([*WHOLE, "soapNotes"]),
        st.none() | st.integers() | st.text() | st.dictionaries(st.sampled_from(["id"]), st.text()),
    )
)
def test_what_is_carried_over_has_an_id_a_digest_and_a_readable_patient(
    stored: dict[str, Any],
) -> None:
    found = carried_consultation(stored, "4", fetched_at=FETCHED)
    if found is not None:
        assert isinstance(found["consultationId"], str)
        assert isinstance(found["digest"], str)
        assert isinstance(found.get("patient", {}).get("id"), str | None)
