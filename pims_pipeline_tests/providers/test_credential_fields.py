"""The fields of a login: what is entered is checked, and never shown."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.providers.credential_fields import (
    CredentialField,
    CredentialsRefused,
    checked_credentials,
)
from pims_pipeline.providers.port import Credentials, MissingCredential

FIELDS = (
    CredentialField(name="api_key", label="API key", secret=True, pattern=r"\w{8,}"),
    CredentialField(
        name="location_id",
        label="Location id",
        secret=False,
        pattern=r"\d+",
        help="The number in the address of the calendar.",
    ),
    CredentialField(name="note", label="Note", secret=False, required=False),
)
WHOLE = {"api_key": "abcd1234", "location_id": "17"}


@contextmanager
def suppress_refusal() -> Iterator[list[str]]:
    """The message of a refusal in the block, if there is one."""
    messages: list[str] = []
    try:
        yield messages
    except CredentialsRefused as refused:
        messages.append(str(refused))


def refusal(**entered: str) -> str:
    with pytest.raises(CredentialsRefused) as refused:
        checked_credentials(FIELDS, entered)
    return str(refused.value)


def test_what_was_entered_becomes_credentials() -> None:
    found = checked_credentials(FIELDS, {**WHOLE, "note": ""})
    assert found == Credentials(WHOLE)
    assert (found["api_key"], found.get("note")) == ("abcd1234", None)


def test_a_missing_field_is_named() -> None:
    assert (
        refusal(api_key="abcd1234") == "the credential field 'location_id' (Location id) is missing"
    )
    assert "'api_key'" in refusal(**{**WHOLE, "api_key": ""})


def test_an_unknown_field_is_named_with_the_known_ones() -> None:
    assert refusal(**WHOLE, pin="hunter2") == (
        "there is no credential field 'pin'; there are: api_key, location_id, note"
    )


def test_a_field_of_another_form_is_named_with_its_help() -> None:
    assert refusal(**{**WHOLE, "location_id": "seventeen"}) == (
        "the credential field 'location_id' (Location id) does not have the form of one: "
        "The number in the address of the calendar."
    )


@given(st.dictionaries(st.sampled_from([each.name for each in FIELDS]), st.text(min_size=1)))
def test_no_refusal_shows_a_value(entered: dict[str, str]) -> None:
    marked = {name: f"<{value}>" for name, value in entered.items()}
    with suppress_refusal() as messages:
        checked_credentials(FIELDS, marked)
    assert not [value for value in marked.values() if value in "".join(messages)]


def test_credentials_are_never_printed_and_never_change() -> None:
    given_fields = dict(WHOLE)
    found = Credentials(given_fields)
    given_fields["api_key"] = "changed"
    assert found["api_key"] == "abcd1234"
    assert repr(found) == "Credentials()"
    with pytest.raises(TypeError):
        found.fields["api_key"] = "changed"  # type: ignore[index]  # that is the point
    with pytest.raises(TypeError):
        pickle.dumps(found)


def test_a_field_that_is_not_stored_is_an_error_for_people() -> None:
    with pytest.raises(MissingCredential, match=r"no field 'api_key'.*pims credentials set"):
        Credentials({})["api_key"]


def test_stored_fields_without_a_value_are_absent() -> None:
    stored = {"company_id": None, "username": "ana", "password": "hunter2"}
    found = Credentials.from_mapping(stored)
    assert found.to_mapping() == {"username": "ana", "password": "hunter2"}
