"""Every wait in the program has an end: a check of the calls in the source.

A call that waits without a limit of its own is in ``ALLOWED``, with the reason why it ends.
docs/reliability.md, "How long each wait may take", has the limits of the others.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from pims_pipeline_tests.test_repository import PACKAGE, modules

LIMITS = {"timeout", "connect_timeout", "timeout_s", "seconds"}
WAITS_WITHOUT_ARGUMENTS = {"join", "wait", "result", "exception", "communicate", "acquire"}
"""Methods that wait for ever when called without arguments."""
WAITS_WITHOUT_A_LIMIT = {
    "as_completed",
    "check_call",
    "check_output",
    "create_connection",
    "urlopen",
    "wait_for",
    "subprocess.run",
    "subprocess.call",
    "psycopg.connect",
    "httpx2.Client",
    "httpx2.AsyncClient",
    "httpx2.request",
    "httpx2.get",
    "httpx2.post",
    "httpx2.stream",
    "requests.request",
    "requests.get",
    "requests.post",
    "requests.Session",
    "InterProcessLock",
}
"""Functions and methods that wait for ever, or too long, without one of ``LIMITS``."""

ALLOWED = {
    ("sync/runner.py", "run_clinics", "as_completed"): (
        "each clinic's work ends with its time limit, the run's, or the stop signal"
    ),
    ("sync/phases/fanout.py", "request_concurrently", "as_completed"): (
        "each question watches the stop signal, and each request has its own limit"
    ),
    ("webhooks/delivery.py", "deliver_due", "result"): "of a request that is done",
    ("sync/runner.py", "run_clinics", "result"): "as_completed gave it: it is done",
    ("sync/phases/fanout.py", "request_concurrently", "result"): "as_completed gave it: it is done",
    ("store/database/leases.py", "login_lease", "wait"): (
        "the caller's ``wait``, which raises at its time limit or at the stop signal"
    ),
    ("providers/http/client.py", "_close_stream", "exception"): "called when it is done",
    ("providers/idexx_neo/login/browser_thread.py", "_Login._pass_on", "result"): (
        "of a task that is done"
    ),
    ("providers/idexx_neo/login/browser_thread.py", "BrowserThread._keep_browser", "exception"): (
        "of asyncio's future, which never waits"
    ),
    ("observability/axiom.py", "AxiomSink._next_batch", "wait_for"): (
        "a daemon thread waits for a line to send; closing wakes it"
    ),
    ("simulator/vendors/responses.py", "delay_response", "wait"): (
        "a task that also ends with the client or, for a latency, with the time"
    ),
    ("simulator/vendors/responses.py", "StallingResponse.__call__", "wait"): (
        "a task that also ends with the client or the pause"
    ),
}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Each call of a module, with the qualified name of the function around it."""

    def walk(node: ast.AST, place: tuple[str, ...]) -> Iterator[tuple[str, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            inner = place
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                inner = (*place, child.name)
            if isinstance(child, ast.Call):
                yield ".".join(place), child
            yield from walk(child, inner)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), ())


def unlimited(call: ast.Call) -> str | None:
    """The name of the called function, if it may wait for ever."""
    dotted = ast.unparse(call.func)
    name = dotted.rpartition(".")[2]
    if any(keyword.arg in LIMITS for keyword in call.keywords):
        return None
    if name in WAITS_WITHOUT_ARGUMENTS and not call.args and not call.keywords:
        return name
    if not {name, dotted} & WAITS_WITHOUT_A_LIMIT:
        return None
    # Their second positional argument is the limit.
    is_positional = name in {"create_connection", "wait_for"} and len(call.args) > 1
    return None if is_positional else name


def waits_without_an_end() -> set[tuple[str, str, str]]:
    return {
        (str(path.relative_to(PACKAGE)), place, name)
        for path in modules(PACKAGE)
        for place, call in calls(path)
        if (name := unlimited(call)) is not None
    }


def test_every_wait_has_a_limit_or_a_reason_to_end() -> None:
    assert waits_without_an_end() == ALLOWED.keys()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("thread.join()", "join"),
        ("thread.join(5)", None),
        ("', '.join(words)", None),
        ("future.result()", "result"),
        ("event.wait()", "wait"),
        ("event.wait(timeout=1)", None),
        ("process.communicate()", "communicate"),
        ("subprocess.run(words)", "run"),
        ("subprocess.run(words, timeout=3)", None),
        ("httpx2.Client(base_url=url)", "Client"),
        ("httpx2.Client(timeout=5)", None),
        ("asyncio.wait_for(work, 3)", None),
        ("condition.wait_for(ready)", "wait_for"),
        ("lock.acquire(blocking=False)", None),
        ("lock.acquire()", "acquire"),
        ("psycopg.connect(url)", "connect"),
    ],
)
def test_a_wait_is_recognized_by_its_call(source: str, found: str | None) -> None:
    (statement,) = ast.parse(source).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    assert unlimited(statement.value) == found
