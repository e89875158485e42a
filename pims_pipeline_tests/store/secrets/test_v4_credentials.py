"""Logins of a v4.0 installation are decrypted as its service does it."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pims_pipeline.domain.adoption.v4 import V4Credentials
from pims_pipeline.store.secrets.v4_credentials import (
    V4KeyMissing,
    V4Undecryptable,
    decrypted_v4_login,
    variable_of,
)
from pims_pipeline_tests.adoption.planted import v4_encrypted

# A lone surrogate is no text that the service could have encrypted.
texts = st.text(st.characters(codec="utf-8"), min_size=1)


def credentials(username: str, password: str, company: str | None, key: str) -> V4Credentials:
    return V4Credentials(
        id=UUID(int=1),
        clinic_id=UUID(int=2),
        key_id="k1",
        username=v4_encrypted(username, key_id="k1", key=key),
        password=v4_encrypted(password, key_id="k1", key=key),
        company_id=None if company is None else v4_encrypted(company, key_id="k1", key=key),
    )


@settings(max_examples=10, deadline=None)
@given(texts, texts, st.none() | texts, texts)
def test_what_an_independent_implementation_encrypted_is_read(
    username: str, password: str, company: str | None, key: str
) -> None:
    fields = decrypted_v4_login(
        credentials(username, password, company, key), {"IDEXX_ENCRYPTION_KEY": key}.get
    )
    assert fields == {"username": username, "password": password, "company_id": company}


def test_the_variable_of_the_key_itself_takes_precedence() -> None:
    environment = {"IDEXX_ENCRYPTION_KEY": "wrong", variable_of("k1"): "right"}
    fields = decrypted_v4_login(credentials("a", "b", None, "right"), environment.get)
    assert (fields["username"], variable_of("k1")) == ("a", "IDEXX_ENCRYPTION_KEY_K1")


def test_a_missing_key_names_both_variables() -> None:
    environment: dict[str, str] = {}
    with pytest.raises(V4KeyMissing, match="IDEXX_ENCRYPTION_KEY_K1 or IDEXX_ENCRYPTION_KEY"):
        decrypted_v4_login(credentials("a", "b", None, "right"), environment.get)


@pytest.mark.parametrize("stored", [b"", b"short", bytes(28), bytes(60)])
def test_damaged_content_is_reported_without_a_cause_that_could_hold_any(stored: bytes) -> None:
    damaged = V4Credentials(
        id=UUID(int=1), clinic_id=UUID(int=2), key_id="k1", username=stored, password=stored
    )
    with pytest.raises(V4Undecryptable) as refused:
        decrypted_v4_login(damaged, {"IDEXX_ENCRYPTION_KEY": "x"}.get)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


@pytest.mark.parametrize("document", ["[]", "nonsense", '{"username": "a"}', '{"password": 5}'])
def test_a_document_that_holds_no_login_is_refused(document: str) -> None:
    stored = V4Credentials(
        id=UUID(int=1),
        clinic_id=UUID(int=2),
        key_id="k1",
        document=v4_encrypted(document, key_id="k1", key="x"),
    )
    with pytest.raises(V4Undecryptable):
        decrypted_v4_login(stored, {"IDEXX_ENCRYPTION_KEY": "x"}.get)
