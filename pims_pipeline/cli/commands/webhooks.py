"""``pims webhooks``: add, list, test, replay, rotate and remove webhooks.

Messages and their delivery belong in ``pims_pipeline.webhooks``.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import click

from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.options import (
    clinic_filter,
    examples,
    json_option,
    slug_argument,
)
from pims_pipeline.cli.terminal.secrets import piped_secrets
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import age, print_table
from pims_pipeline.composition import webhook_networks
from pims_pipeline.domain.webhooks.receivers import shown_url
from pims_pipeline.settings import Settings
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.store.webhooks.endpoints import Webhook
from pims_pipeline.webhooks import management
from pims_pipeline.webhooks.sending import Sender
from pims_pipeline.wire.feed.webhooks import WebhookDocument, WebhookList

_MOST_HOURS = 24 * 30
_EXAMPLE = "6d0f0a7e-2f5e-4f6f-9a3e-0b7c4d1e2f30"
_LARGEST = 2**63 - 1

webhook_argument = click.argument("webhook_id", metavar="ID", type=click.UUID)


@click.group(cls=Group)
def webhooks() -> None:
    """Send changes of cases to web addresses, as signed messages.

    Messages follow Standard Webhooks. They hold ids and names of fields, and values only with
    `--values`. The sensor `webhooks` delivers them.
    """


@webhooks.command(epilog=examples("pims webhooks add riverbend https://app.example/hooks"))
@slug_argument
@click.argument("url", metavar="URL")
@click.option(
    "--values",
    "with_values",
    is_flag=True,
    help="Send what fields had before and after, too: names, phone numbers, notes. They then leave "
    "for the receiver.",
)
@json_option("the webhook as `pims webhooks list` does, with its `secret`")
@click.pass_obj
def add(settings: Settings, *, slug: str, url: str, with_values: bool, as_json: bool) -> None:
    """Add a webhook to a clinic, and show its signing secret once.

    It gets every change from now on. URL begins with https://; its host must have public addresses
    only, or be in PIMS_WEBHOOK_ALLOWED_NETWORKS. `-` reads it from standard input, which no other
    process sees. Standard output holds only the secret.
    """
    address = piped_secrets(["address"])["address"] if url == "-" else url
    with open_store(settings) as store:
        webhook, secret = management.add(
            store.engine,
            store.vault,
            slug,
            address,
            allowed=webhook_networks(settings),
            with_values=with_values,
        )
    _show_secret(webhook, secret, as_json=as_json)


@webhooks.command(
    "list", epilog=examples("pims webhooks list", "pims webhooks list --clinic riverbend --json")
)
@clinic_filter
@json_option('`{"webhooks": […]}`')
@click.pass_obj
def list_all(settings: Settings, *, slug: str | None, as_json: bool) -> None:
    """List webhooks by clinic, with what waits for them and why the last delivery failed."""
    now = datetime.now(UTC)
    with open_store(settings) as store:
        found = management.find(store.engine, slug)
    if as_json:
        print_json(WebhookList.of(found))
        return
    print_table(
        ["Id", "Clinic", "Address", "Status", "Waiting", "Failures", "Last error", "Delivered"],
        (
            (
                str(each.id),
                each.clinic,
                shown_url(each.url),
                each.status.value,
                str(each.waiting),
                str(each.failures),
                each.last_error or "",
                age(each.delivered_at, now),
            )
            for each in found
        ),
        empty="There is no webhook; see `pims webhooks add --help`.",
    )


@webhooks.command(epilog=examples(f"pims webhooks test {_EXAMPLE}"))
@webhook_argument
@click.pass_obj
def test(settings: Settings, *, webhook_id: UUID) -> None:
    """Send a message of type `ping` now, and show whether it was accepted."""
    with open_store(settings) as store, Sender(webhook_networks(settings)) as sender:
        now = check_clock(store.engine)
        webhook, response = management.test(store.engine, store.vault, sender, webhook_id, now)
    if response.error is not None:
        raise Refused(f"the webhook of {webhook.clinic} did not accept the test: {response.error}")
    say(f"The webhook of {webhook.clinic} accepted the test.")


@webhooks.command(
    epilog=examples(
        f"pims webhooks replay {_EXAMPLE}", f"pims webhooks replay {_EXAMPLE} --after 4711"
    )
)
@webhook_argument
@click.option(
    "--after",
    type=click.IntRange(0, _LARGEST),
    metavar="SEQ",
    show_default="the last one before those that were not delivered",
    help="Send the changes after the one with this number (`seq`) again; 0 for all.",
)
@json_option("the webhook as `pims webhooks list` does")
@click.pass_obj
def replay(settings: Settings, *, webhook_id: UUID, after: int | None, as_json: bool) -> None:
    """Enable a webhook again, and send what it missed while it was disabled.

    A message that is sent again has the same `webhook-id`, so that a receiver can leave it out.
    """
    with open_store(settings) as store:
        webhook, count = management.replay_changes(store.engine, webhook_id, after)
    if as_json:
        print_json(WebhookDocument.of(webhook))
    else:
        say(f"The webhook of {webhook.clinic} is active; {count} changes are sent again.")


@webhooks.command(epilog=examples(f"pims webhooks rotate {_EXAMPLE} --overlap 48"))
@webhook_argument
@click.option(
    "--overlap",
    type=click.IntRange(0, _MOST_HOURS),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="How long messages are signed with the former secret too; 0 ends it at once.",
)
@json_option("the webhook as `pims webhooks list` does, with its new `secret`")
@click.pass_obj
def rotate(settings: Settings, *, webhook_id: UUID, overlap: int, as_json: bool) -> None:
    """Give a webhook a new signing secret, and show it once."""
    with open_store(settings) as store:
        now = check_clock(store.engine)
        webhook, secret = management.rotate(
            store.engine, store.vault, webhook_id, now=now, overlap=timedelta(hours=overlap)
        )
    _show_secret(webhook, secret, as_json=as_json)


@webhooks.command(epilog=examples(f"pims webhooks remove {_EXAMPLE}"))
@webhook_argument
@json_option("the webhook as `pims webhooks list` did")
@click.pass_obj
def remove(settings: Settings, *, webhook_id: UUID, as_json: bool) -> None:
    """Remove a webhook, with the changes that wait for it. This cannot be undone."""
    with open_store(settings) as store:
        webhook = management.remove(store.engine, webhook_id)
    if as_json:
        print_json(WebhookDocument.of(webhook))
    else:
        say(f"The webhook {webhook.id} of {webhook.clinic} is removed.")


def _show_secret(webhook: Webhook, secret: str, *, as_json: bool) -> None:
    if as_json:
        print_json(WebhookDocument.of(webhook, secret))
        return
    say(
        f"This is shown once; give it to the receiver. It verifies the messages of the webhook "
        f"{webhook.id} of {webhook.clinic}.",
        err=True,
    )
    say(secret)
