"""What is entered for providers with other fields than ours."""

import io

import click
import pytest
from click.testing import CliRunner

from pims_pipeline.cli.commands.credential_entry import entered_fields
from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.providers.credential_fields import CredentialField
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline_tests.providers.test_packages import GOOD

PROVIDER = ProviderDescription(
    type="another_vendor",
    title="Another Vendor",
    credential_fields=(
        CredentialField(name="location_id", label="Location id", secret=False, pattern=r"\d+"),
        CredentialField(name="note", label="Note", secret=False, required=False),
        CredentialField(name="client_secret", label="Client secret", secret=True),
        CredentialField(name="refresh_token", label="Refresh token", secret=True),
    ),
    build=GOOD.build,
    base_url_example="https://another.example",
)
PIPED = ("refresh_token", "client_secret")


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


@pytest.mark.parametrize("text", ["one\ntwo", "one\ntwo\n", "one\r\ntwo\r\n"])
def test_several_secrets_are_piped_as_one_line_each(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    piped(monkeypatch, text)
    assert entered_fields(PROVIDER, {"location_id": " 17 "}, PIPED) == {
        "location_id": "17",
        "refresh_token": "one",
        "client_secret": "two",
    }


@pytest.mark.parametrize("text", ["one", "one\n", "one\n\n", "one\ntwo\nthree\n", "\ntwo\n"])
def test_another_number_of_lines_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    piped(monkeypatch, text)
    with pytest.raises(Misused) as refused:
        entered_fields(PROVIDER, {"location_id": "17"}, PIPED)
    message = refused.value.format_message()
    assert "refresh_token and client_secret as one line each" in message
    assert "one\n" not in message
    assert "two" not in message


@pytest.mark.parametrize(
    ("given", "secrets", "missing"),
    [
        ({}, PIPED, "'location_id' .Location id. is missing.*give --field location_id=…"),
        ({"location_id": "17"}, (), "'client_secret'.*give --secret-stdin client_secret"),
    ],
)
def test_without_a_terminal_the_message_says_how_to_give_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], secrets: tuple[str, ...], missing: str
) -> None:
    piped(monkeypatch, "one\ntwo\n")
    with pytest.raises(Misused, match=missing):
        entered_fields(PROVIDER, given, secrets)


def test_a_terminal_is_asked_for_every_field_that_was_not_given() -> None:
    found: dict[str, str] = {}

    @click.command()
    def command() -> None:
        with pytest.MonkeyPatch.context() as terminal:
            terminal.setattr("sys.stdin.isatty", lambda: True)
            found.update(entered_fields(PROVIDER, {}, ()))

    done = CliRunner().invoke(command, input="17\n\nsecret one\nsecret two\n")
    assert done.exit_code == 0, done.output
    assert found == {
        "location_id": "17",
        "note": "",
        "client_secret": "secret one",
        "refresh_token": "secret two",
    }
    assert "secret one" not in done.output
    assert "Note (optional): " in done.output
