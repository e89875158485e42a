"""``pims credentials``: storing clinics' logins, trying them, changing the key they lie under."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.options import examples, json_option, slug_argument
from pims_pipeline.cli.terminal.streams import (
    ask_secret,
    console_on,
    piped_secret,
    plain_name,
    print_json,
    say,
)
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.composition import provider_options
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.operations.clinics import find_clinic
from pims_pipeline.operations.credentials import check_login, store_login
from pims_pipeline.providers.port import Credentials, PimsError
from pims_pipeline.providers.registry import build_provider
from pims_pipeline.settings import Settings
from pims_pipeline.store.secrets.rotation import BATCH_ROWS, Rotation, ShowProgress, StuckRow
from pims_pipeline.store.secrets.rotation import rotate as rotate_secrets
from pims_pipeline.store.tables.access import pims_sessions

_CHECK = "pims credentials check"
_ROTATION = "pims credentials rotate"
"""What the access log names in place of a run."""


@click.group(cls=Group)
def credentials() -> None:
    """Store clinics' logins, encrypted, check them, and change the key that encrypts them."""


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
    username = plain_name(username, "--username")
    company_id = plain_name(company_id, "--company-id")
    with open_store(settings) as store:
        clinic = find_clinic(store.engine, slug)
        login = Credentials(username, _password(from_stdin=password_stdin), company_id)
        store_login(store.engine, store.vault, clinic, login)
    if as_json:
        print_json({"clinic": slug, "status": CredentialStatus.UNVERIFIED})
    else:
        say(f"The login of {slug} is stored. Try it: pims credentials check {slug}")


def _password(*, from_stdin: bool) -> str:
    """The password, from standard input or from a person at a terminal."""
    return piped_secret("password") if from_stdin else ask_secret("Password")


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

    The login works when the vendor answers a question with its session. Run it also after the
    vendor refused the login or asked for a person: the outcome is remembered, and the session is
    kept for the next sync. A login is tried once, never again by itself.
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
        outcome = {} if failure is None else {"error": type(failure).__name__}
        print_json({"clinic": slug, "status": done.status, **outcome})
    elif failure is None:
        say(f"The login of {slug} works.")
    if failure is not None:
        raise Refused(
            _what_failed(failure, slug, done.status, options.login.artifacts_dir)
        ) from failure


def _what_failed(
    failure: PimsError, slug: str, status: CredentialStatus | None, pictures: Path
) -> str:
    """Why the login does not work, what that means for syncs, and where to look."""
    match status:
        case CredentialStatus.INVALID:
            meaning = f"Syncs of {slug} do not log in until new credentials are stored."
        case CredentialStatus.NEEDS_HUMAN:
            meaning = f"Syncs of {slug} do not log in until this command has succeeded."
        case _:
            meaning = "This says nothing about the credentials, and the next sync tries again."
    look = f" {note} It is in {pictures}." if (note := _picture_note(failure)) else ""
    end = "" if str(failure).endswith(".") else "."
    return f"{failure}{end} {meaning}{look}"


def _picture_note(failure: PimsError) -> str | None:
    notes: list[str] = getattr(failure, "__notes__", [])
    return next((note for note in notes if note.startswith("A screenshot")), None)


@credentials.command(
    epilog=examples(
        'ENCRYPTION_KEY="$NEW" ENCRYPTION_KEYS_RETIRED="$OLD" pims credentials rotate',
        "pims credentials rotate --json",
    )
)
@json_option
@click.pass_obj
def rotate(settings: Settings, *, as_json: bool) -> None:
    """Re-encrypt all logins and sessions with the current ENCRYPTION_KEY.

    Those of former keys are decrypted with ENCRYPTION_KEYS_RETIRED, which can be emptied
    afterwards. Syncs may go on meanwhile. Interrupted, it goes on where it was when it is run
    again. Sessions that have expired, or whose key is gone, are dropped: the next sync logs in.
    """
    with open_store(settings) as store, _progress_shown() as show:
        done = rotate_secrets(store.engine, store.vault, run_id=_ROTATION, show_progress=show)
        key_id = store.vault.key_id
    if as_json:
        print_json(_rotation_document(key_id, done))
    else:
        _print_rotation(settings, key_id, done)
    if done.stuck:
        raise Refused(
            f"{_counted(len(done.stuck), 'row')} cannot be decrypted and stayed as before: enter "
            "those logins again, or give their key back, and run `pims credentials rotate` again; "
            "the runbook tells more under Undecryptable"
        )
    if done.left:
        raise Refused(
            f"{_counted(done.left, 'row')} came in with another key meanwhile: give every process "
            "the new ENCRYPTION_KEY, then run `pims credentials rotate` again"
        )


@contextmanager
def _progress_shown() -> Iterator[ShowProgress]:
    """Shows how far it is, on standard error: as a bar on a terminal, else in counts."""
    if not sys.stderr.isatty():
        yield _count_shown
        return
    columns = (TextColumn("re-encrypting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console_on(sys.stderr)) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _count_shown(done: int, total: int) -> None:
    # A few rows are done at once, and the result tells of the end.
    if total > BATCH_ROWS and done < total:
        say(f"{done} of {total} rows done", err=True)


def _print_rotation(settings: Settings, key_id: str, done: Rotation) -> None:
    worked = done.credentials or done.sessions or done.sessions_dropped
    if worked or not done.is_complete:
        say(
            f"Re-encrypted with key {key_id}: {_counted(done.credentials, 'login')}, "
            f"{_counted(done.sessions, 'session')}. "
            f"Dropped: {_counted(done.sessions_dropped, 'session')}."
        )
    else:
        say(f"Nothing to do: all logins and sessions are encrypted with key {key_id}.")
    if done.stuck:
        print_table(
            ["Clinic", "Table", "Why", "What to do"],
            ((each.clinic_slug, each.table, _why(each), _remedy(each)) for each in done.stuck),
            empty="",
        )
    elif done.is_complete and settings.encryption_keys_retired:
        say(
            "Nothing is left under another key: once every process runs with this one, "
            "ENCRYPTION_KEYS_RETIRED can be emptied."
        )
    elif done.is_complete and settings.encryption_key is None:
        say(
            f"It lies in {settings.home / 'encryption.key'}. For another, set ENCRYPTION_KEY to a "
            "new one and ENCRYPTION_KEYS_RETIRED to what the file holds, and run this again."
        )


def _why(row: StuckRow) -> str:
    return "its key is gone" if row.key_gone else "damaged, or of another row"


def _remedy(row: StuckRow) -> str:
    if row.table == pims_sessions.name:
        return f"pims credentials check {row.clinic_slug}"
    again = f"pims credentials set {row.clinic_slug}"
    return f"its key in ENCRYPTION_KEYS_RETIRED, or {again}" if row.key_gone else again


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _rotation_document(key_id: str, done: Rotation) -> dict[str, Any]:
    return {
        "keyId": key_id,
        "credentials": done.credentials,
        "sessions": done.sessions,
        "sessionsDropped": done.sessions_dropped,
        "complete": done.is_complete,
        "left": done.left,
        "failures": [
            {
                "clinic": each.clinic_slug,
                "table": each.table,
                "provider": each.provider_type,
                "reason": "key_gone" if each.key_gone else "damaged",
            }
            for each in done.stuck
        ],
    }
