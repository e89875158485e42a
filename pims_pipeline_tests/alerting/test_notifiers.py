"""Notifiers: what a message shows, and what happens when it is not accepted."""

import json
import logging
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from pims_pipeline.alerting.messages import AlertEntry, AlertEvent, Message
from pims_pipeline.alerting.notifiers import DeliveryFailed, LogNotifier
from pims_pipeline.alerting.slack import MAX_LISTED, SlackNotifier
from pims_pipeline.definitions import alerting
from pims_pipeline.observability.logging import configure_logging
from pims_pipeline.settings import Settings
from pims_pipeline_tests.observability.stand_ins import HANG_UP, Canned, Slack
from pims_pipeline_tests.providers.stalling_server import dripping_body, stalling_server

ENTRY = AlertEntry(
    alert_id="7a0c",
    clinic="maple-street",
    details={"run_id": "run-1", "error_class": "TransientError"},
    links={"run": "http://127.0.0.1:3000/runs/run-1"},
    command="pims sync inbound --clinic maple-street",
)
MESSAGE = Message(
    event="started",
    kind="failing",
    phase="inbound",
    meaning="The last three runs failed; each scheduled tick tries again.",
    entries=[ENTRY],
)


def sections(slack: Slack) -> list[str]:
    """The sections of the one message that was posted."""
    [message] = slack.posted
    return [block["text"]["text"] for block in message["blocks"]]


def test_a_message_names_kind_phase_clinic_link_and_the_command_that_helps(
    notifier: SlackNotifier, slack: Slack
) -> None:
    notifier.deliver(MESSAGE)

    assert slack.texts == [":red_circle: failing, inbound: maple-street"]
    title, alert, advice = sections(slack)
    assert title == f":red_circle: *failing, inbound: maple-street*\n{MESSAGE.meaning}"
    assert alert.split(" · ") == [
        "• *maple-street*",
        "run id run-1",
        "error class TransientError",
        "<http://127.0.0.1:3000/runs/run-1|run>",
        "`pims sync inbound --clinic maple-street`",
    ]
    assert advice == "What to do: `docs/runbook.md`, section `failing`"
    assert slack.posted[0]["unfurl_links"] is False


def test_a_slow_response_is_given_up() -> None:
    with stalling_server(dripping_body) as server:
        notifier = SlackNotifier("xoxb-1", "C1", base_url=f"{server.base_url}/", total_seconds=0.3)
        with pytest.raises(DeliveryFailed, match=r"longer than 0\.3 s"):
            notifier.deliver(MESSAGE)


@pytest.mark.parametrize(
    ("event", "title"),
    [
        ("ended", ":large_green_circle: resolved: failing, inbound: maple-street"),
        ("passed", ":white_circle: started and resolved: failing, inbound: maple-street"),
    ],
)
def test_the_message_of_a_resolved_alert_has_no_advice(
    event: AlertEvent, title: str, notifier: SlackNotifier, slack: Slack
) -> None:
    notifier.deliver(replace(MESSAGE, event=event))

    assert slack.texts == [title]
    assert "pims sync" not in slack.shown()


def test_many_alerts_share_a_message_that_counts_those_it_does_not_list(
    notifier: SlackNotifier, slack: Slack
) -> None:
    clinics = [f"clinic-{n:03}" for n in range(200)]

    notifier.deliver(replace(MESSAGE, entries=[replace(ENTRY, clinic=slug) for slug in clinics]))

    assert slack.texts == [":red_circle: failing, inbound: 200 clinics"]
    assert [slug for slug in clinics if slug in slack.shown()] == clinics[:MAX_LISTED]
    assert "and 180 more" in slack.shown()


@given(
    number=st.integers(1, 60),
    words=st.text(st.characters(codec="utf-8"), max_size=5_000),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_message_is_longer_than_slack_accepts(
    number: int, words: str, notifier: SlackNotifier, slack: Slack
) -> None:
    entry = replace(ENTRY, details={"text": words}, command=words)

    notifier.deliver(replace(MESSAGE, entries=[entry] * number))

    assert slack.posted


def test_slack_s_special_characters_are_escaped(notifier: SlackNotifier, slack: Slack) -> None:
    notifier.deliver(replace(MESSAGE, meaning="<!channel> & all"))

    assert "&lt;!channel&gt; &amp; all" in sections(slack)[0]


def test_a_message_is_sent_after_a_short_wait_that_slack_asks_for(
    notifier: SlackNotifier, slack: Slack, waits: list[float]
) -> None:
    slack.faults.append(slack.rate_limited(2))

    notifier.deliver(MESSAGE)

    assert waits == [2]
    assert len(slack.asked) == 2
    assert len(slack.posted) == 1


def test_a_second_wait_is_left_to_the_caller(
    notifier: SlackNotifier, slack: Slack, waits: list[float]
) -> None:
    slack.faults.extend([slack.rate_limited(2), slack.rate_limited(3)])

    with pytest.raises(DeliveryFailed) as trouble:
        notifier.deliver(MESSAGE)

    assert trouble.value.retry_after == 3
    assert waits == [2]
    assert slack.posted == []


def test_a_long_wait_is_left_to_the_caller(
    notifier: SlackNotifier, slack: Slack, waits: list[float]
) -> None:
    slack.faults.append(slack.rate_limited(120))

    with pytest.raises(DeliveryFailed, match="asks to wait 120 s") as trouble:
        notifier.deliver(MESSAGE)

    assert trouble.value.retry_after == 120
    assert waits == []
    assert len(slack.asked) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Slack.refused("channel_not_found"), r"not accept the message \(channel_not_found\)"),
        (Slack.refused("Ana Rex 555-0199"), r"not accept the message \(status 200\)"),
        (
            Canned(500, "<html>Ana Rex 555-0199</html>"),
            r"not accept the message \(status 500\)",
        ),
        (
            Canned(200, "<html>Ana Rex 555-0199</html>"),
            r"not accept the message \(status 200\)",
        ),
        (Canned(200, '{"ok": tr Ana Rex 555-0199'), r"cannot be reached \(JSONDecodeError\)"),
        (HANG_UP, r"cannot be reached \(RemoteDisconnected\)"),
    ],
)
def test_a_failed_delivery_has_a_reason_without_slack_s_own_words(
    fault: Canned, reason: str, notifier: SlackNotifier, slack: Slack
) -> None:
    slack.faults.append(fault)

    with pytest.raises(DeliveryFailed, match=reason) as trouble:
        notifier.deliver(MESSAGE)

    assert "Ana" not in str(trouble.value)
    assert trouble.value.retry_after is None
    assert len(slack.asked) == 1
    notifier.deliver(MESSAGE)
    assert len(slack.posted) == 1


def test_a_slack_out_of_reach_fails_the_delivery() -> None:
    notifier = SlackNotifier("xoxb-made-up", "C1", base_url="http://127.0.0.1:9/api/")

    with pytest.raises(DeliveryFailed, match="cannot be reached"):
        notifier.deliver(MESSAGE)


def test_a_wrong_token_is_reported_by_slack_s_code_and_never_shown(
    slack: Slack, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("DEBUG", "json")
    notifier = SlackNotifier("xoxb-the-wrong-one", slack.channel, base_url=f"{slack.address}api/")

    with pytest.raises(DeliveryFailed, match="invalid_auth") as trouble:
        notifier.deliver(MESSAGE)

    assert "the-wrong-one" not in f"{trouble.value!r} {notifier!r} {capsys.readouterr().err}"


def test_without_slack_each_alert_is_a_warning_when_it_starts_and_a_line_when_it_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "json")
    both = replace(MESSAGE, entries=[ENTRY, replace(ENTRY, clinic="oak-lane", alert_id="7a0d")])

    LogNotifier().deliver(both)
    LogNotifier().deliver(replace(MESSAGE, event="ended"))

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logged = [(line["level"], line["event"], line["clinic"], line["phase"]) for line in lines]
    assert logged == [
        ("warning", "alert_started", "maple-street", "inbound"),
        ("warning", "alert_started", "oak-lane", "inbound"),
        ("info", "alert_ended", "maple-street", "inbound"),
    ]
    assert lines[0]["help"] == "pims sync inbound --clinic maple-street"
    assert lines[0]["kind"] == "failing"
    assert logging.getLogger().level == logging.INFO


def test_alerts_go_to_slack_if_it_is_configured_and_to_the_log_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("SLACK_BOT_TOKEN", "SLACK_CHANNEL"):
        monkeypatch.delenv(variable, raising=False)
    settings = Settings(slack_bot_token=SecretStr("xoxb-made-up-0123456789"), slack_channel="C1")

    assert repr(alerting(settings).notifier) == "SlackNotifier('C1')"
    assert isinstance(alerting(Settings()).notifier, LogNotifier)
