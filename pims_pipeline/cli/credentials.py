"""``pims credentials``: storing clinics' logins and finding out whether they work."""

import sys

import click

from pims_pipeline.cli.errors import Misused
from pims_pipeline.cli.options import examples, json_option, slug_argument
from pims_pipeline.cli.output import print_json
from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.composition import provider_options
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.port import Credentials
from pims_pipeline.providers.registry import build_provider
from pims_pipeline.settings import Settings
from pims_pipeline.store.audits import run_liveness
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.credentials import credential_status, put_credentials
from pims_pipeline.store.database import transaction
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.session import clinic_session

_RUN_ID = "pims credentials check"
"""What the access log names in place of a run."""


@click.group(cls=Group)
def credentials() -> None:
    """Store clinics' logins, encrypted, and check them."""


@credentials.command(
    "set",
    epilog=examples(
        "pims credentials set riverbend --company-id 1001 --username demo",
        'printf %s "$PASSWORD" | pims credentials set riverbend \\',
        "  --company-id 1001 --username demo --password-stdin",
    ),
)
@slug_argument
@click.option("--company-id", required=True, help="What is typed beside the user name.")
@click.option("--username", required=True, help="The account that syncs.")
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input; without it, it is asked for.",
)
@json_option
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

    It is encrypted at rest, and a stored session is forgotten. The password is never taken from
    the command line, where other users could see it.
    """
    with open_store(settings) as store:
        with transaction(store.engine) as connection:
            clinic = clinic_by_slug(connection, slug)
        typed_in = Credentials(username, _password(from_stdin=password_stdin), company_id)
        with transaction(store.engine) as connection:
            put_credentials(connection, store.vault, clinic, typed_in.to_mapping())
    if as_json:
        print_json({"clinic": slug, "status": "unverified"})
    else:
        click.echo(f"The login of {slug} is stored. Try it: pims credentials check {slug}")


def _password(*, from_stdin: bool) -> str:
    """The password, from standard input or from a person at a terminal."""
    if from_stdin:
        # The newline is that of the command that wrote it; spaces may be part of it.
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        if not password:
            raise Misused("standard input was empty; pipe the password into the command")
        return password
    if not sys.stdin.isatty():
        raise Misused(
            "nobody is there to type the password; pipe it into the command and give "
            "--password-stdin"
        )
    entered: str = click.prompt("Password", hide_input=True, err=True)
    return entered


@credentials.command(
    epilog=examples(
        "pims credentials check riverbend",
    )
)
@slug_argument
@json_option
@click.pass_obj
def check(settings: Settings, *, slug: str, as_json: bool) -> None:
    """Log in with a clinic's stored login, now, in a real browser.

    Also after the vendor refused it or asked for a person: what comes of it is remembered, and
    the session is kept for the next sync. A refused password is tried once, never again by itself.
    """
    with open_store(settings) as store:
        with transaction(store.engine) as connection:
            clinic = clinic_by_slug(connection, slug)
        options = provider_options(settings)
        with run_liveness(store.engine) as liveness:
            context = SyncContext(
                engine=store.engine,
                vault=store.vault,
                open_provider=lambda each: build_provider(each, options),
                run_id=_RUN_ID,
                liveness=liveness,
            )
            _log_in(context, clinic)
        with transaction(store.engine) as connection:
            status = credential_status(connection, clinic)
    if as_json:
        print_json({"clinic": slug, "status": status})
    else:
        click.echo(f"The login of {slug} works.")


def _log_in(context: SyncContext, clinic: Clinic) -> None:
    with clinic_session(context, clinic) as session:
        session.log_in()
