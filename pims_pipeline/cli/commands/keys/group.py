"""``pims keys``: create, list and revoke keys to the REST API; importing them is in ``importing``.

The format of a key belongs in ``domain``, its storage in ``store``, its check in ``api``.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import click

from pims_pipeline.cli.commands.keys.importing import import_command
from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.errors import Misused, typed
from pims_pipeline.cli.terminal.options import (
    BusinessDate,
    clinic_filter,
    examples,
    json_option,
    plain_name,
    slug_argument,
    wait_option,
)
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import age, print_table
from pims_pipeline.domain.api_keys import ALL_PERMISSIONS, checked_permissions
from pims_pipeline.domain.clinics import Clinic, business_date, local_to_utc
from pims_pipeline.operations.api_keys import clinic_for_key, create_key, find_keys, revoke_key
from pims_pipeline.settings import Settings
from pims_pipeline.store.api_keys import ApiKey
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.wire.keys import KeyDocument, KeyList, NewKey

_UNNAMED = "unnamed"
_LONGEST_NAME = 100
_LONGEST_LIFE = timedelta(days=36_500)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@click.group(cls=Group)
def keys() -> None:
    """Create, import, list and revoke keys to the REST API.

    A key is for one clinic. Only its hash is stored.
    """


class Expiry(click.ParamType[date | timedelta]):
    """A date such as 2026-12-31, or a time from now such as 90d."""

    name = "date|duration"
    _DURATION = re.compile(r"([0-9]{1,4})([hdw])")

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> date | timedelta:
        """Parse ``value``; fails on anything else."""
        if isinstance(value, date | timedelta):
            return value
        if found := self._DURATION.fullmatch(value):
            return int(found[1]) * _UNITS[found[2]]
        try:
            return BusinessDate().convert(value, None, None)
        except click.BadParameter:
            self.fail(
                f"{value!r} is neither a date such as 2026-12-31 nor a number of hours, days or "
                "weeks such as 12h, 90d or 4w",
                param,
                ctx,
            )


def _permissions(
    context: click.Context,  # noqa: ARG001 - click's signature
    option: click.Parameter,  # noqa: ARG001 - click's signature
    text: str | None,
) -> tuple[str, ...]:
    if text is None:
        return ()
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    if not wanted:
        # The store takes an empty list for all permissions.
        raise Misused("--permissions is empty; leave it out for a key that may do everything")
    with typed():
        return checked_permissions(wanted)


def _named(context: click.Context, option: click.Parameter, name: str) -> str:  # noqa: ARG001 - click's signature
    return plain_name(name, "--name", longest=_LONGEST_NAME)


@keys.command(
    epilog=examples(
        'pims keys create riverbend --name "Front desk" --permissions read --expires 90d',
        "pims keys create riverbend --permissions sync:inbound,read --expires 2026-12-31 --json",
    )
)
@slug_argument
@click.option(
    "--name",
    default=_UNNAMED,
    callback=_named,
    show_default=True,
    help="Who uses it, or for what; shown by `pims keys list`.",
)
@click.option(
    "--permissions",
    metavar="LIST",
    callback=_permissions,
    show_default="`*`",
    help="What it may do, separated by commas: `sync:inbound`, `sync:cases`, `sync:reconcile`, "
    "`sync:*` for all three, `read`, `read:values` for values of the change feed, or `*` for "
    "everything.",
)
@click.option(
    "--expires",
    type=Expiry(),
    show_default="never",
    help="When it expires: at the start of a date such as 2026-12-31 in the clinic's time zone, "
    "or after hours, days or weeks such as 12h, 90d or 4w.",
)
@wait_option
@json_option("the key as `pims keys list` does, with its full text as `key`")
@click.pass_obj
def create(
    settings: Settings,
    *,
    slug: str,
    name: str,
    permissions: tuple[str, ...],
    expires: date | timedelta | None,
    wait_seconds: int | None,
    as_json: bool,
) -> None:
    """Create a key for a clinic, and show it once.

    Standard output holds only the key. Its holder can do what its permissions allow with the
    clinic's data; it cannot be shown again.
    """
    with open_store(settings) as store:
        now = check_clock(store.engine)
        clinic = clinic_for_key(store.engine, slug)
        expires_at = None if expires is None else _expiry_time(clinic, expires, now)
        made = create_key(
            store.engine,
            slug,
            name=name,
            permissions=permissions,
            expires_at=expires_at,
            wait_seconds=wait_seconds,
        )
    key = made.key
    if as_json:
        print_json(NewKey.made(made.text, key, datetime.now(UTC)))
        return
    until = f"expires on {_minute(expires_at)}" if expires_at else "never expires"
    say(
        f"This is shown once; store it with your secrets. Key {key.prefix} of {slug} has the "
        f"permissions {_allowed(key)} and {until}.",
        err=True,
    )
    say(made.text)


def _expiry_time(clinic: Clinic, expires: date | timedelta, now: datetime) -> datetime:
    """When the key expires, in UTC.

    Raises:
        Misused: If that is not in the future, or too far ahead.
    """
    today = business_date(now, clinic.zone)
    lasts = expires if isinstance(expires, timedelta) else expires - today
    if lasts <= timedelta():
        raise Misused(
            f"--expires is not in the future: the date at {clinic.slug} is {today.isoformat()}"
        )
    if lasts > _LONGEST_LIFE:
        raise Misused("--expires is too far ahead; leave it out for a key that never expires")
    if isinstance(expires, timedelta):
        return now + expires
    return local_to_utc(datetime.combine(expires, time.min), clinic.zone)


@keys.command(
    "list",
    epilog=examples("pims keys list", "pims keys list --clinic riverbend --json"),
)
@clinic_filter
@json_option('`{"keys": […]}`')
@click.pass_obj
def list_keys(settings: Settings, *, slug: str | None, as_json: bool) -> None:
    """List all keys by clinic, oldest first, including revoked and expired ones.

    The key itself is never shown again; its first characters, the prefix, identify it.
    """
    now = datetime.now(UTC)
    with open_store(settings) as store:
        found = find_keys(store.engine, slug)
    if as_json:
        print_json(KeyList.of(found, now))
        return
    print_table(
        ["Prefix", "Clinic", "Name", "Permissions", "State", "Expires", "Last used", "Waits"],
        (
            (
                each.prefix,
                each.clinic,
                each.name,
                _allowed(each),
                each.state_at(now),
                _minute(each.expires_at) if each.expires_at else "never",
                age(each.last_used_at, now),
                f"{each.wait_seconds} s" if each.wait_seconds else "no",
            )
            for each in found
        ),
        empty="There is no key; see `pims keys create --help`.",
    )


@keys.command(
    epilog=examples(
        "pims keys revoke 3fA9c1d0", "pims keys revoke 0b6a3a1e-5f0e-4f7e-9f43-0f2f7a3f6f10"
    )
)
@click.argument("key", metavar="KEY")
@json_option("the key as `pims keys list` does")
@click.pass_obj
def revoke(settings: Settings, *, key: str, as_json: bool) -> None:
    """Revoke a key. This cannot be undone; create another key instead.

    KEY is its prefix, or its id if several imported keys have that prefix; `pims keys list --json`
    shows both. A whole key is accepted too: everyone who can list processes has seen it, so it must
    be revoked at once.
    """
    with open_store(settings) as store:
        revoked = revoke_key(store.engine, key)
    if as_json:
        print_json(KeyDocument.of(revoked, datetime.now(UTC)))
    else:
        say(f"Key {revoked.prefix} of {revoked.clinic} is revoked.")


def _allowed(key: ApiKey) -> str:
    return ",".join(key.permissions or (ALL_PERMISSIONS,))


def _minute(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


keys.add_command(import_command)
