"""A page of another origin, in a real browser on this machine, that sends requests to our servers.

It is served from another port of loopback, and tries every request that a page can send without
permission. For DNS rebinding, ``--host-resolver-rules`` maps a foreign name to our address.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from pims_pipeline.providers.idexx_neo.login.chromium import find_chromium

REBOUND = "rebound.example"
"""A foreign host name that resolves to this machine."""
_TIMEOUT_MS = 60_000

_SCRIPT = """
const ended = (tries) => Promise.all(tries.map((each) => each.catch(() => "refused")));

function image(url) {
  return new Promise((resolve) => {
    const shown = new Image();
    shown.onload = shown.onerror = () => resolve("sent");
    shown.src = url;
  });
}

function form(url, type, name, value) {
  return new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.name = "frame" + Math.random();
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {method: "POST", action: url, enctype: type, target: frame.name});
    const field = document.createElement("input");
    Object.assign(field, {name, value});
    form.append(field);
    document.body.append(form);
    frame.onload = () => resolve("sent");
    form.submit();
  });
}

function blind(url, type, body) {
  return fetch(url, {method: "POST", mode: "no-cors", headers: {"Content-Type": type}, body});
}

function read(url, options) {
  return fetch(url, options).then((response) => response.text());
}

function socket(url, messages) {
  return new Promise((resolve) => {
    const opened = new WebSocket(url, "graphql-ws");
    opened.onopen = () => messages.forEach((each) => opened.send(JSON.stringify(each)));
    opened.onmessage = () => resolve("open");
    opened.onerror = () => resolve("refused");
  });
}
"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>foreign</title><body></body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def foreign_server() -> Iterator[int]:
    """The port of a server of another origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def browser_tab() -> Iterator[Page]:
    """A tab of a real browser."""
    with sync_playwright() as playwright:
        rules = f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"
        browser = playwright.chromium.launch(
            executable_path=find_chromium(None), args=["--no-sandbox", rules]
        )
        with browser:
            page = browser.new_page()
            page.set_default_timeout(_TIMEOUT_MS)
            yield page


def mutation(key: str) -> str:
    """One of Dagster's mutations that leaves a trace under ``key``."""
    return f'mutation {{ setConcurrencyLimit(concurrencyKey: "{key}", limit: 1) }}'


def command_dagster(page: Page, origin: str, dagster: str) -> list[str]:
    """Try, from a page of ``origin``, every way to run a mutation; returns the outcome of each.

    Args:
        page: A tab.
        origin: The origin of the page.
        dagster: Host and port of the Dagster UI.
    """
    page.goto(origin)
    url = f"http://{dagster}/graphql"
    key = quote(origin, safe="")

    def query_url(how: str) -> str:
        return f"{url}?query={quote(mutation(f'{key}-{how}'))}"

    def body(how: str) -> dict[str, str]:
        return {"query": mutation(f"{key}-{how}")}

    socket = [
        {"type": "connection_init"},
        {"type": "start", "id": "1", "payload": body("socket")},
    ]
    tries = """([urls, bodies, socketUrl, messages]) => ended([
      image(urls.image),
      form(urls.form, "text/plain", "a", "b"),
      form(urls.multipart, "multipart/form-data", "query", "b"),
      blind(urls.blind, "text/plain", "{}"),
      blind(urls.json, "text/plain; application/json", JSON.stringify(bodies.json)),
      read(urls.plain, {}),
      read(urls.plain, {method: "POST", headers: {"Content-Type": "application/json"},
                        body: JSON.stringify(bodies.cors)}),
      socket(socketUrl, messages),
    ])"""
    ways = ("image", "form", "multipart", "blind")
    urls = {**{how: query_url(how) for how in ways}, "json": url, "plain": query_url("read")}
    arguments = [
        urls,
        {how: body(how) for how in ("json", "cors")},
        f"ws://{dagster}/graphql",
        socket,
    ]
    page.add_script_tag(content=_SCRIPT)
    outcomes: list[str] = page.evaluate(tries, arguments)
    return outcomes


def command_simulator(page: Page, origin: str, simulator: str) -> list[str]:
    """Try, from a page of ``origin``, to reset the simulator, and to read from it."""
    page.goto(origin)
    page.add_script_tag(content=_SCRIPT)
    tries = """(url) => ended([
      blind(url + "/_control/reset", "text/plain", "{}"),
      blind(url + "/_control/reset", "application/x-www-form-urlencoded", "a=b"),
      form(url + "/_control/reset", "text/plain", "a", "b"),
      read(url + "/_control/stats", {}),
    ])"""
    outcomes: list[str] = page.evaluate(tries, f"http://{simulator}")
    return outcomes


def read_as_rebound(page: Page, port: int, path: str) -> tuple[int, str]:
    """Status and text of a server on this machine, opened under a foreign name."""
    response = page.goto(f"http://{REBOUND}:{port}{path}")
    assert response is not None
    return response.status, response.text()
