"""``pims webhooks``: secrets are shown once, and addresses are checked."""

from collections.abc import Iterator

import pytest

from pims_pipeline_tests.cli.commands.keys.test_keys import register
from pims_pipeline_tests.cli.invocation import Pims, document, error_line
from pims_pipeline_tests.webhooks.receiver import Receiver, running_receiver, status

ALLOWED = {"PIMS_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on this machine."""
    with running_receiver() as receiver:
        yield receiver


def test_a_webhook_s_life(pims: Pims, receiver: Receiver) -> None:
    slug = register(pims)
    added = document(pims("webhooks", "add", slug, receiver.url, "--json", **ALLOWED))
    id_, secret = added["id"], added["secret"]

    [listed] = document(pims("webhooks", "list", "--json"))["webhooks"]
    assert listed == {name: value for name, value in added.items() if name != "secret"}
    assert (listed["status"], listed["waiting"]) == ("active", 0)

    tested = pims("webhooks", "test", id_, **ALLOWED)
    assert tested.stdout == f"The webhook of {slug} accepted the test.\n"
    [got] = receiver.received
    assert got.verified_by(secret)

    rotated = pims("webhooks", "rotate", id_)
    assert rotated.stdout.startswith("whsec_")
    assert rotated.stdout.strip() not in rotated.stderr
    assert document(pims("webhooks", "replay", id_, "--after", "0", "--json"))["waiting"] == 0
    assert pims("webhooks", "remove", id_).exit_code == 0
    assert document(pims("webhooks", "list", "--clinic", slug, "--json")) == {"webhooks": []}


def test_the_secret_is_alone_on_standard_output(pims: Pims) -> None:
    done = pims("webhooks", "add", register(pims), "https://app.example/hooks")

    [line] = done.stdout.splitlines()
    assert line.startswith("whsec_")
    assert line not in done.stderr


def test_an_address_with_a_token_is_piped_in_and_not_shown(pims: Pims) -> None:
    url = "https://app.example/hooks?token=hush-hush"
    added = pims("webhooks", "add", register(pims), "-", "--json", typed=f"{url}\n")

    assert document(added)["url"] == "https://app.example/hooks?…"
    for listed in (pims("webhooks", "list"), pims("webhooks", "list", "--json")):
        assert "hush-hush" not in listed.stdout


def test_a_receiver_that_refuses_is_reported_in_one_line(pims: Pims, receiver: Receiver) -> None:
    slug = register(pims)
    id_ = document(pims("webhooks", "add", slug, receiver.url, "--json", **ALLOWED))["id"]
    receiver.reply = status(500)

    refused = pims("webhooks", "test", id_, **ALLOWED)
    elsewhere = pims("webhooks", "test", id_)

    assert error_line(refused).endswith("did not accept the test: status 500")
    assert error_line(elsewhere).endswith("did not accept the test: its address is not public")


def test_wrong_addresses_and_ids_are_refused(pims: Pims) -> None:
    slug = register(pims)
    plain = pims("webhooks", "add", slug, "http://app.example/hooks")
    unknown = pims("webhooks", "remove", "6d0f0a7e-2f5e-4f6f-9a3e-0b7c4d1e2f30")

    assert "begins with https://" in error_line(plain)
    assert "`pims webhooks list` shows the ids" in error_line(unknown)
