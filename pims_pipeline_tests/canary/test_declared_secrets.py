"""No secret field of any installed provider comes up, whatever its name."""

from pathlib import Path

import pytest

from pims_pipeline.observability.logging import get_logger
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.port import Credentials
from pims_pipeline.providers.registry import registry
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline_tests.canary.canaries import Canary, canary
from pims_pipeline_tests.canary.evidence import NOWHERE, leaks
from pims_pipeline_tests.canary.practice import UNREACHABLE, ZONE, Practice

PROVIDERS = registry().installed().providers


def store(practice: Practice, provider: ProviderDescription, values: dict[str, Canary]) -> str:
    """A clinic of the provider whose secrets are canaries; returns its slug."""
    slug = provider.type.replace("_", "-")
    with transaction(practice.engine) as connection:
        clinic = add_clinic(
            connection,
            slug=slug,
            name=slug,
            timezone=ZONE,
            provider_type=provider.type,
            provider_base_url=UNREACHABLE,
        )
        fields = {each.name: "1" for each in provider.credential_fields}
        fields |= {name: value.text for name, value in values.items()}
        put_credentials(connection, practice.vault, clinic, fields)
    return slug


def log_them(values: dict[str, Canary]) -> None:
    """Log the secrets as a careless caller would."""
    log = get_logger(__name__)
    fields = {name: value.text for name, value in values.items()}
    log.info("careless", login=Credentials(fields), fields=fields, **fields)
    for name, text in fields.items():
        log.info("failed", why=f'with {name}={text}, "{name}": "{text}"')


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.type)
def test_a_declared_secret_is_not_shown(
    practice: Practice, provider: ProviderDescription, tmp_path: Path
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    values = {name: canary(name) for name in provider.secret_fields}
    slug = store(practice, provider, values)
    assert values, "a provider without any secret"

    done = [practice.pims("credentials", "check", slug, PIMS_CHROMIUM_PATH=str(broken))]
    for name, value in values.items():
        set_login = ("credentials", "set", slug)
        done += [
            practice.pims(*set_login, f"--field={name}={value.text}"),
            practice.pims(*set_login, f"--field={value.text}"),
            practice.pims(*set_login, "--field=no_such_field=1", "--secret-stdin", name, typed="x"),
            practice.pims(*set_login, "--secret-stdin", name, typed=f"{value.text}\n\n"),
        ]
    with practice.evidence.logging("log of a careless caller"):
        log_them(values)
    practice.add_stored_data()

    assert {each.exit_code for each in done} <= {1, 2}
    assert "careless" in practice.evidence.text_at("log of a careless caller")
    assert leaks(practice.evidence, dict.fromkeys(values.values(), NOWHERE)) == {}
