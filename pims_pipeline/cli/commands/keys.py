"""``pims keys``: making, listing and revoking keys to the REST API.

How a key is built, kept and checked stands in the domain, the store and the API.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import click

from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.errors import Misused, typed
from pims_pipeline.cli.terminal.options import BusinessDate, examples, json_option, slug_argument
from pims_pipeline.cli.terminal.streams import plain_name, print_json, say
from pims_pipeline.cli.terminal.tables import age, print_table
from pims_pipeline.domain.api_keys import ALL_PERMISSIONS, checked_permissions, prefix_of
from pims_pipeline.domain.clinics import Clinic, business_date, local_to_utc
from pims_pipeline.operations.api_keys import clinic_for_key, create_key, find_keys, revoke_key
from pims_pipeline.settings import Settings
from pims_pipeline.store.api_keys import ApiKey
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.wire.keys import KeyDocument, KeyList, NewKey

_UNNAMED = "unnamed"
_LONGEST_NAME = 100
_LONGEST_LIFE = timedelta(days=36_500)
_PREFIX = re.compile(r"[0-9A-Za-z]{8}")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@click.group(cls=Group)
def keys() -> None:
    """Make and revoke keys to the REST API.

    A key is for one clinic. Only its hash is stored.
    """


class Expiry(click.ParamType[date | timedelta]):
    """A date such as 2026-12-31, or a time from now such as 90d."""

    name = "date|duration"
    _DURATION = re.compile(r"([0-9]{1,4})([hdw])")

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> date | timedelta:
        """What ``value`` spells; complains of anything else."""
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
        # To the store, none are all.
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
    help="Who uses it, or for what; told by `pims keys list`.",
)
@click.option(
    "--permissions",
    metavar="LIST",
    callback=_permissions,
    help="What it may do, separated by commas: sync:inbound, sync:cases, sync:reconcile, read. "
    'Everything ("*") unless given.',
)
@click.option(
    "--expires",
    type=Expiry(),
    help="From when it is refused: a date, by the clinic's clock, or hours, days or weeks from now "
    "such as 12h, 90d, 4w. Never unless given.",
)
@json_option
@click.pass_obj
def create(
    settings: Settings,
    *,
    slug: str,
    name: str,
    permissions: tuple[str, ...],
    expires: date | timedelta | None,
    as_json: bool,
) -> None:
    """Make a key for a clinic, and show it, this once.

    Standard output holds the key and nothing else. Whoever has it can do with the clinic's data
    what its permissions allow; nothing can show it again.
    """
    with open_store(settings) as store:
        now = check_clock(store.engine)
        clinic = clinic_for_key(store.engine, slug)
        expires_at = None if expires is None else _moment(clinic, expires, now)
        made = create_key(
            store.engine, slug, name=name, permissions=permissions, expires_at=expires_at
        )
    key = made.key
    if as_json:
        print_json(NewKey.made(made.text, key, datetime.now(UTC)))
        return
    until = f"expires on {_minute(expires_at)}" if expires_at else "never expires"
    say(
        f"This is shown once; keep it where secrets are kept. Key {key.prefix} of {slug} has the "
        f"permissions {_allowed(key)} and {until}.",
        err=True,
    )
    say(made.text)


def _moment(clinic: Clinic, expires: date | timedelta, now: datetime) -> datetime:
    """The first moment at which the key is refused.

    Raises:
        Misused: If it is not in the future, or absurdly far in it.
    """
    today = business_date(now, clinic.zone)
    lasts = expires if isinstance(expires, timedelta) else expires - today
    if lasts <= timedelta():
        raise Misused(
            f"--expires does not lie in the future: at {clinic.slug} it is {today.isoformat()}"
        )
    if lasts > _LONGEST_LIFE:
        raise Misused("--expires lies too far ahead; leave it out for a key that never expires")
    if isinstance(expires, timedelta):
        return now + expires
    return local_to_utc(datetime.combine(expires, time.min), clinic.zone)


@keys.command(
    "list",
    epilog=examples("pims keys list", "pims keys list --clinic riverbend --json"),
)
@click.option("--clinic", "slug", metavar="SLUG", help="Of one clinic; of all unless given.")
@json_option
@click.pass_obj
def list_keys(settings: Settings, *, slug: str | None, as_json: bool) -> None:
    """List keys, revoked and expired ones too: by clinic, oldest first.

    The key itself is never shown again; its first eight characters, the prefix, name it.
    """
    now = datetime.now(UTC)
    with open_store(settings) as store:
        found = find_keys(store.engine, slug)
    if as_json:
        print_json(KeyList.of(found, now))
        return
    print_table(
        ["Prefix", "Clinic", "Name", "Permissions", "State", "Expires", "Last used"],
        (
            (
                each.prefix,
                each.clinic,
                each.name,
                _allowed(each),
                each.state_at(now),
                _minute(each.expires_at) if each.expires_at else "never",
                age(each.last_used_at, now),
            )
            for each in found
        ),
        empty="There is no key; `pims keys create --help` tells how to make one.",
    )


def _prefix(context: click.Context, argument: click.Parameter, text: str) -> str:  # noqa: ARG001 - click's signature
    """The prefix that ``text`` is, or begins with if it is a whole key.

    Somebody who pastes a whole key has shown it to everyone who can list processes: all the more
    reason to revoke it at once. What is neither may still be part of a key, and is not repeated.
    """
    if _PREFIX.fullmatch(text):
        return text
    prefix = prefix_of(text)
    if prefix is None:
        raise Misused(
            "that is no prefix of a key: give the eight letters and digits that `pims keys list` "
            "shows, never the key itself"
        )
    return prefix


@keys.command(epilog=examples("pims keys revoke 3fA9c1d0"))
@click.argument("prefix", metavar="PREFIX", callback=_prefix)
@json_option
@click.pass_obj
def revoke(settings: Settings, *, prefix: str, as_json: bool) -> None:
    """Have a key refused from now on. It cannot be undone; make another key instead.

    PREFIX is the key's first eight characters.
    """
    with open_store(settings) as store:
        key = revoke_key(store.engine, prefix)
    if as_json:
        print_json(KeyDocument.of(key, datetime.now(UTC)))
    else:
        say(f"Key {prefix} of {key.clinic} is revoked.")


def _allowed(key: ApiKey) -> str:
    return ",".join(key.permissions or (ALL_PERMISSIONS,))


def _minute(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
