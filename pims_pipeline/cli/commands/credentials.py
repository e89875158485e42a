"""``pims credentials``: store and check clinics' logins."""

from pathlib import Path

import click

from pims_pipeline.cli.commands.credential_entry import entered_fields, field_values
from pims_pipeline.cli.commands.credentials_rotation import rotate
from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.clinic_words import facts, warnings
from pims_pipeline.cli.terminal.errors import Refused, typed
from pims_pipeline.cli.terminal.options import examples, json_option, slug_argument
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.composition import provider_options
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.operations.clinics import find_clinic
from pims_pipeline.operations.credentials import check_login, store_login
from pims_pipeline.providers.port import PimsError
from pims_pipeline.providers.registry import build_provider, registry
from pims_pipeline.settings import Settings
from pims_pipeline.wire.clinics import LoginDocument

_CHECK = "pims credentials check"
"""What the access log records in place of a run's id."""


@click.group(cls=Group)
def credentials() -> None:
    """Store and check clinics' logins, and re-encrypt them with a new key."""


@credentials.command(
    "set",
    epilog=examples(
        "pims credentials set riverbend",
        "pims credentials set riverbend --company-id 1001 --username demo",
        'printf %s "$PASSWORD" | pims credentials set riverbend \\',
        "  --company-id 1001 --username demo --password-stdin",
        'printf %s "$API_KEY" | pims credentials set riverbend \\',
        "  --field location_id=17 --secret-stdin api_key",
    ),
)
@slug_argument
@click.option(
    "--field",
    "fields",
    metavar="NAME=VALUE",
    multiple=True,
    callback=field_values,
    help="A field that is not secret; repeat it for several. `pims providers show` lists them.",
)
@click.option(
    "--secret-stdin",
    "piped",
    metavar="NAME",
    multiple=True,
    help="Read this secret field from standard input; without it, a hidden prompt asks for it. "
    "Several are read as one line each, in this order.",
)
@click.option("--company-id", help="IDEXX Neo: short for `--field company_id=…`.")
@click.option("--username", help="IDEXX Neo: short for `--field username=…`.")
@click.option(
    "--password-stdin", is_flag=True, help="IDEXX Neo: short for `--secret-stdin password`."
)
@json_option('`{"clinic": …, "status": "unverified"}`')
@click.pass_obj
def set_credentials(
    settings: Settings,
    *,
    slug: str,
    fields: dict[str, str],
    piped: tuple[str, ...],
    company_id: str | None,
    username: str | None,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Store or replace a clinic's login.

    The clinic's provider declares its fields; a terminal is asked for those that are not given. The
    login is encrypted at rest, and a stored session is deleted. A secret is never read from the
    command line, where other users could see it.
    """
    short = {"company_id": company_id, "username": username}
    given = fields | {name: value for name, value in short.items() if value is not None}
    secret = (*piped, "password") if password_stdin and "password" not in piped else piped
    with open_store(settings) as store:
        clinic = find_clinic(store.engine, slug)
        provider = registry().description(clinic.provider_type)
        entered = entered_fields(provider, given, secret)
        with typed():
            store_login(store.engine, store.vault, clinic, entered)
    if as_json:
        print_json({"clinic": slug, "status": CredentialStatus.UNVERIFIED})
    else:
        say(f"The login of {slug} is stored. Check it: pims credentials check {slug}")


@credentials.command(
    epilog=examples(
        "pims credentials check riverbend",
    )
)
@slug_argument
@json_option(
    '`{"clinic": …, "status": "valid", "description": …}`; when the login does not work, `error` '
    "names the kind"
)
@click.pass_obj
def check(settings: Settings, *, slug: str, as_json: bool) -> None:
    """Log in with a clinic's stored login, now; for IDEXX Neo, in a real browser.

    The login works when the vendor accepts a request with its session. Run this also after the
    vendor rejected the login or needed a person: the outcome is stored, and the session is kept
    for the next sync. A login is tried once and not retried.

    Then it shows what the vendor says about the clinic, and warns of another time zone and of
    appointment types and statuses that are not known here.
    """
    options = provider_options(settings)
    with open_store(settings) as store:
        done = check_login(
            store.engine,
            store.vault,
            slug,
            lambda clinic: build_provider(clinic, options),
            run_id=_CHECK,
        )
    failure = done.failure
    if as_json:
        print_json(LoginDocument.of(slug, done))
    elif done.description is not None:
        say("\n".join((f"The login of {slug} works.", *facts(done.description))))
        for warning in warnings(done.description):
            say(f"Warning: {warning}", err=True)
    if failure is not None:
        raise Refused(
            _failure_message(failure, slug, done.status, options.login.artifacts_dir)
        ) from failure


def _failure_message(
    failure: PimsError, slug: str, status: CredentialStatus | None, screenshots: Path
) -> str:
    """Why the login does not work, what that means for syncs, and where the screenshot is."""
    match status:
        case CredentialStatus.INVALID:
            meaning = f"Syncs of {slug} do not log in until new credentials are stored."
        case CredentialStatus.NEEDS_HUMAN:
            meaning = f"Syncs of {slug} do not log in until this command has succeeded."
        case _:
            meaning = "The credentials may be right; the next sync tries again."
    where = f" {note} It is in {screenshots}." if (note := _screenshot_note(failure)) else ""
    end = "" if str(failure).endswith(".") else "."
    return f"{failure}{end} {meaning}{where}"


def _screenshot_note(failure: PimsError) -> str | None:
    notes: list[str] = getattr(failure, "__notes__", [])
    return next((note for note in notes if note.startswith("A screenshot")), None)


credentials.add_command(rotate)
