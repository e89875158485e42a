"""Delivery of alert messages to Slack, with slack-sdk's client and a bot's token.

``messages`` decides what a message says, ``delivery`` when it is sent.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from http.client import HTTPException
from threading import Thread
from types import MappingProxyType

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.handler import RetryHandler
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState

from pims_pipeline.alerting.messages import AlertEvent, Message
from pims_pipeline.alerting.notifiers import DeliveryFailed

SLACK_URL = "https://slack.com/api/"
MAX_LISTED = 20
"""How many alerts a message lists; its title counts all of them."""

_TOO_MANY_REQUESTS = 429
_TIMEOUT_SECONDS = 5
_TOTAL_SECONDS = 20
_LONGEST_WAIT_SECONDS = 5
_DEFAULT_WAIT_SECONDS = 30
_MAX_SECTION = 2_900
"""Characters of a section; Slack refuses more than 3,000."""

_CODE = re.compile(r"[a-z_]{1,60}")
_MARKS: Mapping[AlertEvent, str] = MappingProxyType(
    {
        "started": ":red_circle:",
        "ended": ":large_green_circle:",
        "passed": ":white_circle:",
    }
)


class RateLimitRetry(RetryHandler):
    """Retries once per message after the wait that Slack's rate limit asks for, if it is short."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        super().__init__(max_retry_count=1)
        self._wait = wait

    def _can_retry(
        self,
        *,
        state: RetryState,  # noqa: ARG002 - the interface's
        request: HttpRequest,  # noqa: ARG002 - the interface's
        response: HttpResponse | None = None,
        error: Exception | None = None,  # noqa: ARG002 - the interface's
    ) -> bool:
        if response is None or response.status_code != _TOO_MANY_REQUESTS:
            return False
        return _wanted_wait(response.headers) <= _LONGEST_WAIT_SECONDS

    def prepare_for_next_attempt(
        self,
        *,
        state: RetryState,
        request: HttpRequest,  # noqa: ARG002 - the interface's
        response: HttpResponse | None = None,
        error: Exception | None = None,  # noqa: ARG002 - the interface's
    ) -> None:
        """Wait, then request a retry."""
        self._wait(_wanted_wait(response.headers if response else {}))
        state.next_attempt_requested = True
        state.increment_current_attempt()


class SlackNotifier:
    """Posts to one channel with a bot's token.

    Delivery normally takes at most three times five seconds: two attempts and the wait between
    them. The client's timeout applies to each read, so ``total_seconds`` limits the whole.
    """

    def __init__(
        self,
        token: str,
        channel: str,
        *,
        base_url: str = SLACK_URL,
        wait: Callable[[float], None] = time.sleep,
        total_seconds: float = _TOTAL_SECONDS,
    ) -> None:
        self._total_seconds = total_seconds
        self._channel = channel
        self._client = WebClient(
            token=token,
            base_url=base_url,
            timeout=_TIMEOUT_SECONDS,
            retry_handlers=[RateLimitRetry(wait)],
        )

    def __repr__(self) -> str:
        return f"SlackNotifier({self._channel!r})"

    def deliver(self, message: Message) -> None:
        """Post the message.

        Raises:
            DeliveryFailed: If Slack cannot be reached or does not accept it.
        """
        posting: Future[None] = Future()

        def work() -> None:
            try:
                self._post(message)
            except BaseException as error:  # noqa: BLE001 - passed to the waiting thread
                posting.set_exception(error)
            else:
                posting.set_result(None)

        # A daemon: a response that drips must keep neither the caller nor the process.
        Thread(target=work, name="slack", daemon=True).start()
        try:
            posting.result(timeout=self._total_seconds)
        except TimeoutError:
            raise DeliveryFailed(f"Slack took longer than {self._total_seconds:g} s") from None

    def _post(self, message: Message) -> None:
        try:
            self._client.chat_postMessage(
                channel=self._channel,
                text=f"{_MARKS[message.event]} {_escaped(message.title)}",
                blocks=[_section(text) for text in _texts(message)],
                unfurl_links=False,
                unfurl_media=False,
            )
        except SlackApiError as error:
            raise _refusal(error) from None
        except (SlackClientError, HTTPException, OSError, ValueError) as error:
            # A URLError is an OSError; a web page instead of JSON is a ValueError.
            raise DeliveryFailed(f"Slack cannot be reached ({type(error).__name__})") from None


def _refusal(error: SlackApiError) -> DeliveryFailed:
    response = error.response
    status = response.status_code
    if status == _TOO_MANY_REQUESTS:
        seconds = _wanted_wait(response.headers)
        return DeliveryFailed(f"Slack's rate limit asks to wait {seconds:g} s", retry_after=seconds)
    code = response.get("error") if isinstance(response.data, dict) else None
    if not (isinstance(code, str) and _CODE.fullmatch(code)):
        code = f"status {status}"
    return DeliveryFailed(f"Slack did not accept the message ({code})")


def _wanted_wait(headers: Mapping[str, str | list[str]]) -> float:
    """The seconds of a Retry-After; slack-sdk gives headers in two shapes."""
    given = {name.lower(): value for name, value in headers.items()}.get("retry-after")
    text = given[0] if isinstance(given, list) and given else given
    try:
        return max(0.0, float(str(text)))
    except ValueError:
        return _DEFAULT_WAIT_SECONDS


def _section(text: str) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _texts(message: Message) -> Iterator[str]:
    """The message's sections: a title, the alerts, and a reference to the runbook."""
    yield f"{_MARKS[message.event]} *{_escaped(message.title)}*\n{_escaped(message.meaning)}"
    section = ""
    for line in _lines(message):
        if section and len(section) + len(line) >= _MAX_SECTION:
            yield section
            section = ""
        section += ("\n" if section else "") + line[:_MAX_SECTION]
    yield section
    if message.event == "started":
        yield f"What to do: `docs/runbook.md`, section `{message.kind}`"


def _lines(message: Message) -> Iterator[str]:
    for entry in message.entries[:MAX_LISTED]:
        parts = [f"*{_escaped(entry.clinic)}*"]
        parts += [
            f"{name.replace('_', ' ')} {_escaped(str(value))}"
            for name, value in entry.details.items()
        ]
        parts += [f"<{address}|{name}>" for name, address in entry.links.items()]
        if entry.command and message.event == "started":
            parts.append(f"`{_escaped(entry.command)}`")
        yield "• " + " · ".join(parts)
    if (more := len(message.entries) - MAX_LISTED) > 0:
        yield f"• and {more} more: `pims status`"


def _escaped(text: str) -> str:
    """``text`` with the three characters escaped that Slack interprets."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
