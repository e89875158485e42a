"""``pims credentials``: store and check clinics' logins."""

from pathlib import Path

import click

from pims_pipeline.cli.commands.credentials_rotation import rotate
from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.clinic_words import facts, warnings
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.options import examples, json_option, plain_name, slug_argument
from pims_pipeline.cli.terminal.secrets import ask_secret, piped_secret
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.composition import provider_options
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.operations.clinics import find_clinic
from pims_pipeline.operations.credentials import check_login, store_login
from pims_pipeline.providers.port import Credentials, PimsError
from pims_pipeline.providers.registry import build_provider
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
        "pims credentials set riverbend --company-id 1001 --username demo",
        'printf %s "$PASSWORD" | pims credentials set riverbend \\',
        "  --company-id 1001 --username demo --password-stdin",
    ),
)
@slug_argument
@click.option(
    "--company-id", required=True, help="The company id that the login form has beside the user."
)
@click.option("--username", required=True, help="The account that syncs use.")
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input; without it, a hidden prompt asks for it.",
)
@json_option('`{"clinic": …, "status": "unverified"}`')
@click.pass_obj
def set_credentials(
    settings: Settings,
    *,
    slug: str,
    company_id: str,
    username: str,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Store or replace a clinic's login.

    It is encrypted at rest, and a stored session is deleted. The password is never read from the
    command line, where other users could see it.
    """
    username = plain_name(username, "--username")
    company_id = plain_name(company_id, "--company-id")
    with open_store(settings) as store:
        clinic = find_clinic(store.engine, slug)
        login = Credentials(username, _password(from_stdin=password_stdin), company_id)
        store_login(store.engine, store.vault, clinic, login)
    if as_json:
        print_json({"clinic": slug, "status": CredentialStatus.UNVERIFIED})
    else:
        say(f"The login of {slug} is stored. Check it: pims credentials check {slug}")


def _password(*, from_stdin: bool) -> str:
    """The password, from standard input or from a prompt."""
    return piped_secret("password") if from_stdin else ask_secret("Password")


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
    """Log in with a clinic's stored login, now, in a real browser.

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
