"""A command that fails shows no secret."""

import base64
from collections.abc import Iterator
from pathlib import Path
from secrets import token_bytes
from urllib.parse import quote

import pytest

from pims_pipeline_tests.canary.canaries import canary, secret_canary
from pims_pipeline_tests.canary.evidence import NOWHERE, leaks
from pims_pipeline_tests.canary.practice import Practice


def test_a_command_that_fails_repeats_no_secret(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    evidence = practice.evidence
    typed, unforeseen = canary("typed", "{}_ü"), canary("unforeseen")
    practice.open_clinic("alder", logged_in=True)
    secrets = practice.secrets
    key = practice.make_api_key("alder")
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    another_key = secret_canary("another key", base64.b64encode(token_bytes(32)).decode())

    def fails(*_: object) -> None:
        raise KeyError(unforeseen.text) from ValueError(unforeseen.text)

    done = [
        practice.pims("credentials", "set", "alder", f"--password={typed.text}"),
        practice.pims("credentials", "check", "alder", PIMS_CHROMIUM_PATH=str(broken)),
        practice.pims("credentials", "check", "alder", ENCRYPTION_KEY=another_key.text),
        practice.pims("credentials", "rotate", ENCRYPTION_KEY=another_key.text),
        practice.pims("keys", "revoke", key[:-1]),
        practice.pims("keys", "revoke", key.partition("_")[2]),
        *(practice.pims("status", **{name: value}) for name, value in wrong_settings(typed.text)),
        practice.pims("doctor", "--only=keys", ENCRYPTION_KEY=another_key.text),
        *(
            practice.pims("doctor", "--only=database", "--json", **{name: value})
            for name, value in wrong_settings(typed.text)
        ),
        practice.pims("serve", "--port=0", PIMS_API_DATABASE_URL=practice.url),
    ]
    practice.run("UPDATE pims_credentials SET encrypted_data = substr(encrypted_data, 2)")
    done.append(practice.pims("credentials", "check", "alder"))
    monkeypatch.setattr("pims_pipeline.operations.status.clinic_states", fails)
    done.append(practice.pims("status"))
    practice.add_stored_data()

    assert all(each.exit_code in {1, 2} for each in done)
    assert "KeyError" in evidence.text_at("log of pims status")
    assert (
        leaks(
            evidence,
            {
                secret_canary("API key", key.partition("_")[2]): NOWHERE,
                **dict.fromkeys((*secrets, typed, unforeseen, another_key), NOWHERE),
            },
        )
        == {}
    )


def wrong_settings(text: str) -> Iterator[tuple[str, str]]:
    """Malformed secrets and unreachable addresses: variable and value."""
    for name in ("ENCRYPTION_KEY", "ENCRYPTION_KEYS_RETIRED", "SLACK_BOT_TOKEN", "AXIOM_TOKEN"):
        yield name, text
    yield "PIMS_METRICS_TOKEN", f"{text} {text}"
    for name in ("PIMS_DATABASE_URL", "DAGSTER_POSTGRES_URL", "PIMS_API_DATABASE_URL"):
        yield name, f"mysql://pims:{text}@127.0.0.1/pims"
    yield "PIMS_DATABASE_URL", f"postgresql://pims:{quote(text)}@127.0.0.1:9/pims"
    yield "PIMS_DATABASE_URL", f"postgresql://pims:{quote(text)}@127.0.0.1:port/pims"
    for name in ("DAGSTER_GRAPHQL_URL", "AXIOM_URL"):
        yield name, f"ftp://pims:{text}@127.0.0.1"
