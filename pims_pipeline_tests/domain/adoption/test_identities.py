"""The appointment in each form of external id, and nothing in any other text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.adoption.identities import (
    appointment_of_external_id,
    appointment_of_pims_id,
    external_id_of,
)

appointment_ids = st.text(
    st.characters(codec="ascii", categories=["L", "N"], include_characters="-_:"), min_size=1
)


@given(appointment_ids)
def test_every_form_of_an_id_names_its_appointment(appointment_id: str) -> None:
    older = f"idexx-appt-{appointment_id}"
    assert appointment_of_external_id(external_id_of(appointment_id)) == appointment_id
    assert appointment_of_external_id(older) == appointment_id
    assert appointment_of_pims_id(external_id_of(appointment_id)) == appointment_id
    assert appointment_of_pims_id(older) == appointment_id


@given(st.text())
def test_what_is_read_from_any_text_is_a_part_of_it_without_spaces(text: str) -> None:
    for found in (appointment_of_external_id(text), appointment_of_pims_id(text)):
        assert found is None or (found in text and found == "".join(found.split()))


@pytest.mark.parametrize(
    "text", [None, "", "  ", "4711", "idexx-appt-", "pims-appt-other-4711", "call-4711", "manual"]
)
def test_other_external_ids_name_no_appointment(text: str | None) -> None:
    assert appointment_of_external_id(text) is None


@pytest.mark.parametrize(
    ("text", "appointment"),
    [
        ("4711", "4711"),
        (" 4711 ", "4711"),
        (None, None),
        ("", None),
        ("47 11", None),
        ("pims-appt-other-4711", None),
    ],
)
def test_a_documented_pims_id_is_the_appointment_itself(
    text: str | None, appointment: str | None
) -> None:
    assert appointment_of_pims_id(text) == appointment
