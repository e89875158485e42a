"""A canary is found in every encoding and in every place, so that no leak test passes in vain."""

import base64
import gzip
import html
import json
import logging
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

import pytest

from pims_pipeline.observability.logging import get_logger
from pims_pipeline_tests.canary.canaries import canary, secret_canary, shows
from pims_pipeline_tests.canary.evidence import Evidence, leaks
from pims_pipeline_tests.canary.practice import Practice

SPELLINGS: Mapping[str, Callable[[str], str | bytes]] = {
    "as it is": str,
    "in bytes": str.encode,
    "in capitals": str.upper,
    "in an address": lambda text: f"http://here/?q={quote(text, safe='')}&a=1",
    "in a form": lambda text: f"a=1&q={quote_plus(text)}",
    "in JSON": lambda text: json.dumps({"a": [text]}),
    "in JSON in JSON": lambda text: json.dumps({"a": json.dumps({"b": text})}),
    "in a page": lambda text: f"<p>{html.escape(text)}</p>",
    "in a repr": lambda text: repr({"a": text.encode()}),
    "in hexadecimal": lambda text: f"bytea \\x{text.encode().hex()}",
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in base64 after one": lambda text: base64.b64encode(f":{text}:".encode()).decode(),
    "in base64 after two": lambda text: base64.b64encode(f"a:{text}:".encode()).decode(),
    "in base64 for addresses": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "in wide letters": lambda text: text.encode("utf-16-le"),
    "packed by gzip": lambda text: gzip.compress(text.encode()),
    "packed by zlib": lambda text: zlib.compress(text.encode()),
    "broken off": lambda text: text[: len(text) // 2 + 9],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_canary_is_found_in_every_encoding(spelling: str) -> None:
    write = SPELLINGS[spelling]
    ours = canary("password", 'pä"s <%41&> {}')
    generated = secret_canary("cookie", "k/7+Qe_-Zr9mW3xTq8Lb2NvYc5HdJs4GfA6PzUo1iKy")

    assert shows(write(generated.text), generated)
    assert not shows(write(generated.text), ours)
    if spelling != "broken off":
        assert shows(write(ours.text), ours)
        assert not shows(write(ours.text), generated)


def test_a_canary_is_seen_wherever_it_leaks(practice: Practice) -> None:
    found, evidence = canary("found", "'{}\""), practice.evidence
    leak_into_logs(evidence, found.text)
    leak_into_processes(evidence, found.pieces[0])
    leak_into_stored_data(practice, found.text)
    evidence.add_error("error", error_that_hides(found.text))
    practice.add_stored_data()

    seen = {
        *("log", "log, in JSON", "log of a library", "log of a library, in JSON"),
        *("processes", "error", "clinics.name", "dagster.events.event", "file left.txt"),
    }
    assert evidence.places_of(found) == seen
    assert leaks(evidence, {found: frozenset({"error", "nowhere"})}) == {
        "found": {"leaked to": sorted(seen - {"error"}), "not seen in": ["nowhere"]}
    }


def leak_into_logs(evidence: Evidence, text: str) -> None:
    with evidence.logging("log"):
        get_logger("ours").debug("fetched", found=[{"for": text}])
    with evidence.logging("log of a library", "INFO"):
        logging.getLogger("theirs").warning("asked for %s", quote(text))


def leak_into_processes(evidence: Evidence, text: str) -> None:
    waiting = "import sys; print(flush=True); sys.stdin.read()"
    with (
        evidence.watching_processes("processes") as watch,
        subprocess.Popen(  # noqa: S603 - this interpreter, arguments of the test
            [sys.executable, "-c", waiting, text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        watch.wait_for_scan()


def leak_into_stored_data(practice: Practice, text: str) -> None:
    """Write the text to a column, a compressed one of Dagster's, and two files; one is ignored."""
    practice.open_clinic("alder")
    encoded = base64.b64encode(text.encode()).decode()
    practice.run("UPDATE clinics SET name = :name", name=encoded)
    practice.run("CREATE SCHEMA dagster")
    practice.run("CREATE TABLE dagster.events (event bytea)")
    practice.run("INSERT INTO dagster.events VALUES (:event)", event=zlib.compress(text.encode()))
    practice.home.mkdir()
    (practice.home / "left.txt").write_text(json.dumps([text]))
    (practice.home / "picture.png").write_text(text)


def error_that_hides(text: str) -> Exception:
    """An error whose traceback does not show its cause."""
    try:
        try:
            int(text)
        except ValueError:
            raise KeyError from None
    except KeyError as error:
        return error
    raise AssertionError("no number is made of letters")
