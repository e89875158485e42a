"""``pims credentials rotate``: re-encrypt logins and sessions with the current key."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.options import examples, json_option
from pims_pipeline.cli.terminal.streams import console_on, print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.settings import Settings
from pims_pipeline.store.secrets.rotation import BATCH_ROWS, Rotation, ShowProgress, StuckRow
from pims_pipeline.store.secrets.rotation import rotate as rotate_secrets
from pims_pipeline.store.tables.access import pims_sessions
from pims_pipeline.store.tables.webhooks import webhooks

_ROTATION = "pims credentials rotate"
"""What the access log records in place of a run's id."""


@click.command(
    cls=Command,
    epilog=examples(
        'ENCRYPTION_KEY="$NEW" ENCRYPTION_KEYS_RETIRED="$OLD" pims credentials rotate',
        "pims credentials rotate --json",
    ),
)
@json_option(
    '`{"keyId": …, "credentials": …, "sessions": …, "webhooks": …, "sessionsDropped": …, '
    '"complete": …, "left": …, "failures": […]}`'
)
@click.pass_obj
def rotate(settings: Settings, *, as_json: bool) -> None:
    """Re-encrypt all logins, sessions and webhooks' secrets with the current ENCRYPTION_KEY.

    Rows under former keys are decrypted with ENCRYPTION_KEYS_RETIRED, which can be emptied
    afterwards. Syncs may run at the same time. After an interruption, run it again: it continues.
    Sessions that have expired, or whose key is gone, are dropped: the next sync logs in.
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
            "those logins again, or put their key into ENCRYPTION_KEYS_RETIRED, and run "
            "`pims credentials rotate` again; see Undecryptable in the runbook"
        )
    if done.left:
        raise Refused(
            f"{_counted(done.left, 'row')} came in with another key during the rotation: give "
            "every process the new ENCRYPTION_KEY, then run `pims credentials rotate` again"
        )


@contextmanager
def _progress_shown() -> Iterator[ShowProgress]:
    """Shows the progress on standard error: as a bar on a terminal, else in counts."""
    if not sys.stderr.isatty():
        yield _count_shown
        return
    columns = (TextColumn("re-encrypting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console_on(sys.stderr)) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _count_shown(done: int, total: int) -> None:
    # A small rotation takes one batch, and the result reports the end.
    if total > BATCH_ROWS and done < total:
        say(f"{done} of {total} rows done", err=True)


def _print_rotation(settings: Settings, key_id: str, done: Rotation) -> None:
    worked = done.credentials or done.sessions or done.webhooks or done.sessions_dropped
    if worked or not done.is_complete:
        say(
            f"Re-encrypted with key {key_id}: {_counted(done.credentials, 'login')}, "
            f"{_counted(done.sessions, 'session')}, {_counted(done.webhooks, 'webhook')}. "
            f"Dropped: {_counted(done.sessions_dropped, 'session')}."
        )
    else:
        say(f"Nothing to do: all logins, sessions and webhooks are encrypted with key {key_id}.")
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
            f"The key is in {settings.home / 'encryption.key'}. To change it, set ENCRYPTION_KEY "
            "to a new one and ENCRYPTION_KEYS_RETIRED to the file's content, and run this again."
        )


def _why(row: StuckRow) -> str:
    return "its key is gone" if row.key_gone else "damaged, or copied from another row"


def _remedy(row: StuckRow) -> str:
    if row.table == pims_sessions.name:
        return f"pims credentials check {row.clinic_slug}"
    if row.table == webhooks.name:
        # Its secret cannot be shown again either way.
        return f"pims webhooks remove {row.provider_type}, and add it again"
    again = f"pims credentials set {row.clinic_slug}"
    return f"put its key into ENCRYPTION_KEYS_RETIRED, or {again}" if row.key_gone else again


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _rotation_document(key_id: str, done: Rotation) -> dict[str, Any]:
    return {
        "keyId": key_id,
        "credentials": done.credentials,
        "sessions": done.sessions,
        "webhooks": done.webhooks,
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
