"""Log lines on their way to Axiom: in batches, bounded, redacted, without delay for callers."""

import json
import logging
import logging.config
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from threading import Event

import pytest

from pims_pipeline.observability.axiom import AxiomSink
from pims_pipeline.observability.axiom_client import (
    Addresses,
    Ingest,
    IngestFailed,
    axiom_addresses,
    axiom_ingest,
)
from pims_pipeline.observability.logging import bound_context, configure_logging, get_logger
from pims_pipeline.observability.redaction import REDACTED
from pims_pipeline_tests.observability.stand_ins import HANG_UP, Axiom, Canned


class Hurried(AxiomSink):
    """Records each wait instead of waiting."""

    def __init__(self, axiom: Axiom, **options: float) -> None:
        self.pauses: list[float] = []
        super().__init__(
            partial(axiom_ingest, axiom.token, axiom.dataset, axiom.address),
            **{"batch_seconds": 0.0, **options},  # type: ignore[arg-type]  # a test's few keywords
        )

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def test_lines_arrive_in_one_batch_with_their_time_and_context(axiom: Axiom) -> None:
    sink = Hurried(axiom, batch_lines=3, batch_seconds=60)
    configure_logging("INFO", "console", sink=sink)

    with bound_context(clinic="maple-street", run_id="run-1"):
        get_logger("ours").info("fetched", found=3)
        logging.getLogger("theirs").warning("careful")
    get_logger("ours").info("after")
    axiom.wait_for(1)

    [batch] = axiom.batches
    assert all(event.pop("_time").endswith("Z") for event in batch)
    context = {"clinic": "maple-street", "run_id": "run-1"}
    assert batch == [
        {"event": "fetched", "found": 3, "logger": "ours", "level": "info", **context},
        {"event": "careful", "logger": "theirs", "level": "warning", **context},
        {"event": "after", "logger": "ours", "level": "info"},
    ]


def test_nothing_sensitive_arrives(axiom: Axiom) -> None:
    sink = Hurried(axiom)
    configure_logging("DEBUG", "console", sink=sink)

    get_logger("ours").info("asked with xoxb-12-34-AbCd", password="hunter2", phone="555-0199")
    try:
        int("postgresql://pims:hunter2@db/pims")
    except ValueError:
        logging.getLogger("theirs").exception("lost %s", "ana@clinic.example")
    sink.end()

    text = json.dumps(axiom.events)
    assert "hunter2" not in text
    assert "555-0199" not in text
    assert "ana@" not in text
    assert "AbCd" not in text
    assert f"postgresql://pims:{REDACTED}@db/pims" in text


def test_an_outage_delays_lines_and_loses_none(
    axiom: Axiom, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = Hurried(axiom)
    axiom.faults.extend([HANG_UP, Canned(503, "down"), Canned(500, {"message": "oh"})])
    configure_logging("INFO", "json", sink=sink)

    get_logger("ours").info("before")
    axiom.wait_for(4)
    get_logger("ours").info("after")
    sink.end()

    assert axiom.event_names == ["before", "after"]
    assert sink.pauses == [1, 2, 4]
    assert sink.dropped == 0
    lines = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert sorted(lines) == ["after", "axiom_takes_lines_again", "axiom_takes_no_lines", "before"]


def test_axiom_s_retry_after_is_obeyed(axiom: Axiom) -> None:
    sink = Hurried(axiom)
    axiom.faults.append(Canned(429, {"message": "rate limit"}, {"Retry-After": "17"}))
    configure_logging("INFO", "console", sink=sink)

    get_logger("ours").info("patient")
    axiom.wait_for(2)
    sink.end()

    assert sink.pauses == [17]
    assert axiom.event_names == ["patient"]


def test_lines_that_axiom_refuses_are_dropped_counted_and_reported_later(
    axiom: Axiom, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = Hurried(axiom)
    axiom.faults.append(Canned(403, {"message": "forbidden"}))
    configure_logging("INFO", "json", sink=sink)

    get_logger("ours").info("lost")
    axiom.wait_for(1)
    get_logger("ours").info("kept")
    sink.end()

    assert sink.pauses == []
    assert sink.dropped == 1
    assert axiom.event_names == ["kept", "axiom_lines_dropped"]
    assert axiom.events[-1]["count"] == 1
    assert '"reason": "status 403"' in capsys.readouterr().err


class Gate:
    """An ingest that returns or fails only when released."""

    def __init__(self) -> None:
        self.entered, self.opened = Event(), Event()
        self.taken: list[str] = []
        self.error: Exception | None = None

    def __call__(self, lines: Sequence[str]) -> int:
        self.entered.set()
        assert self.opened.wait(20)
        if self.error is not None:
            raise self.error
        self.taken += [json.loads(line)["event"] for line in lines]
        return 0


def gated(gate: Ingest, **options: float) -> AxiomSink:
    options = {"batch_seconds": 0.0, **options}
    return AxiomSink(lambda: gate, **options)  # type: ignore[arg-type]  # a test's few keywords


def test_a_full_queue_drops_and_counts_and_no_caller_waits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gate = Gate()
    sink = gated(gate, max_lines=3, batch_lines=1)
    configure_logging("INFO", "json", sink=sink)

    for n in range(10):
        get_logger("ours").info(f"line {n}")
    assert sink.dropped == 7
    gate.opened.set()
    sink.end()

    assert gate.taken == ["line 0", "line 1", "line 2", "axiom_lines_dropped"]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    dropped = [line["count"] for line in lines if line["event"] == "axiom_lines_dropped"]
    assert dropped == [7]


def test_closing_gives_up_on_an_axiom_that_does_not_respond(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gate = Gate()
    sink = gated(gate, exit_seconds=0.05)
    configure_logging("INFO", "json", sink=sink)

    get_logger("ours").info("stuck")
    assert gate.entered.wait(20)
    get_logger("ours").info("behind it")
    sink.end()
    gate.opened.set()

    assert sink.dropped == 2
    assert '"count": 2' in capsys.readouterr().err


def test_closing_ends_a_pause_and_tries_once_more() -> None:
    gate = Gate()
    gate.error = IngestFailed("status 503", is_transient=True, retry_after=60)
    gate.opened.set()
    sink = gated(gate, exit_seconds=20)
    configure_logging("INFO", "json", sink=sink)

    get_logger("ours").info("in vain")
    assert gate.entered.wait(20)
    sink.end()

    assert sink.dropped == 1


def test_an_unforeseen_error_of_the_ingest_stops_no_lines(axiom: Axiom) -> None:
    sink = Hurried(axiom)
    axiom.faults.append(Canned(200, '["not", "a", "status"]'))
    configure_logging("INFO", "json", sink=sink)

    get_logger("ours").info("odd")
    axiom.wait_for(1)
    get_logger("ours").info("kept")
    sink.end()

    assert axiom.event_names[0] == "kept"
    assert sink.dropped == 1


def test_a_line_that_is_no_json_spoils_no_batch(axiom: Axiom) -> None:
    sink = Hurried(axiom)
    configure_logging("INFO", "json", sink=sink)

    get_logger("ours").info("odd", share=float("nan"))
    get_logger("ours").info("too long", text="x" * 300_000)
    get_logger("ours").info("kept")
    sink.end()

    assert axiom.event_names[0] == "kept"
    assert sink.dropped == 2


def test_the_sink_does_not_ship_the_lines_of_its_own_client(axiom: Axiom) -> None:
    sink = Hurried(axiom)
    configure_logging("DEBUG", "json", sink=sink)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)

    get_logger("ours").info("only this")
    axiom.wait_for(1)
    sink.end()

    assert axiom.event_names == ["only this"]


def test_configuring_again_closes_the_earlier_sink(axiom: Axiom) -> None:
    first, second = Hurried(axiom), Hurried(axiom)
    configure_logging("INFO", "json", sink=first)
    get_logger("ours").info("one")

    configure_logging("INFO", "json", sink=second)
    get_logger("ours").info("two")
    second.end()

    assert axiom.event_names == ["one", "two"]
    assert logging.getLogger().handlers.count(first) == 0


def test_logging_configured_by_another_library_costs_no_line(axiom: Axiom) -> None:
    """Dagster does that at the beginning of a run: it closes every handler there is."""
    sink = Hurried(axiom)
    configure_logging("INFO", "json", sink=sink)
    get_logger("ours").info("before")
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    get_logger("ours").info("after")
    sink.end()

    assert axiom.event_names == ["before", "after"]
    assert sink.dropped == 0


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        (None, Addresses("https://api.axiom.co", None)),
        ("https://api.eu.axiom.co", Addresses("https://api.eu.axiom.co", None)),
        (
            "https://eu-central-1.aws.edge.axiom.co",
            Addresses("https://api.axiom.co", "https://eu-central-1.aws.edge.axiom.co"),
        ),
    ],
)
def test_an_edge_deployment_is_distinguished_from_axiom_s_own_address(
    url: str | None, addresses: Addresses
) -> None:
    assert axiom_addresses(url) == addresses


def test_lines_of_a_process_and_of_its_fork_arrive_though_both_end_at_once(axiom: Axiom) -> None:
    script = """
        import os, sys
        from pims_pipeline.composition import set_up_logging
        from pims_pipeline.observability.logging import get_logger
        from pims_pipeline.settings import load_settings

        set_up_logging(load_settings())
        log = get_logger("ours")
        log.info("parent", before=True)
        child = os.fork()
        if child == 0:
            log.info("child")
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        log.info("parent", before=False)
    """
    done = subprocess.run(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-c", textwrap.dedent(script)],
        env={
            **os.environ,
            "AXIOM_TOKEN": axiom.token,
            "AXIOM_DATASET": axiom.dataset,
            "AXIOM_URL": axiom.address,
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert sorted((event["event"], event.get("before")) for event in axiom.events) == [
        ("child", None),
        ("parent", False),
        ("parent", True),
    ]
