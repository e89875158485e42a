"""Structured logs: one line per event, on standard error, for a terminal or for programs.

Our loggers and every library's share one handler and one format. Standard output is for the output
of commands. The content of a line belongs to the caller; the removal of secrets and personal data
belongs in ``redaction``.
"""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import copy_context
from typing import Literal, ParamSpec, TypeVar

import structlog
from structlog.processors import JSONRenderer
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import EventDict, Processor

from pims_pipeline.observability.printable import printable
from pims_pipeline.observability.redaction import redact_event

P = ParamSpec("P")
R = TypeVar("R")

_CHATTY_LIBRARIES = ("alembic", "asyncio", "httpcore2", "httpx2", "urllib3", "watchfiles")
"""At INFO these log each step, httpx2 with the whole address of the request."""


def _redact_foreign(logger: object, method: str, event: EventDict) -> EventDict:
    """Redact a library's event, but not the formatter's own fields, which are not text."""
    # Another handler's formatter leaves its rendering on the record; it is a duplicate.
    event.pop("message", None)
    bookkeeping = {name: event.pop(name) for name in ("_record", "_from_structlog")}
    return {**redact_event(logger, method, event), **bookkeeping}


def _hand_over(
    logger: logging.Logger, method: str, event: EventDict
) -> tuple[tuple[EventDict], dict[str, object]]:
    """Pass our event to the standard library, without the raw exception that it would add."""
    arguments, options = ProcessorFormatter.wrap_for_formatter(logger, method, event)
    return arguments, {**options, "exc_info": False}


_DESCRIBE: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.StackInfoRenderer(),
    # Rendered here, so that redaction also covers the text of exceptions.
    structlog.processors.format_exc_info,
)
_OURS: tuple[Processor, ...] = (
    structlog.stdlib.filter_by_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    *_DESCRIBE,
    redact_event,
    _hand_over,
)
_THEIRS: tuple[Processor, ...] = (structlog.stdlib.ExtraAdder(), *_DESCRIBE, _redact_foreign)


class Sink(logging.Handler):
    """A second destination of log lines, until ``end`` is called."""

    def end(self) -> None:
        """Release all resources; lines that are logged later are lost."""
        raise NotImplementedError


class _StandardError(logging.StreamHandler):  # type: ignore[type-arg] # generic in stubs only
    """Writes to the present standard error, because live displays replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def get_logger(name: str) -> BoundLogger:
    """The logger of a module; pass ``__name__``.

    Safe before ``configure_logging``: it uses the standard library's logging, redacted, and never
    prints to standard output.
    """
    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger(name), processors=_OURS, wrapper_class=BoundLogger
    )
    return logger


def configure_logging(
    level: str, log_format: Literal["console", "json"], *, sink: Sink | None = None
) -> None:
    """Send every log line of this process to standard error, in one format.

    A further call replaces the configuration and ends the former sink. Configure libraries that
    set up logging themselves (uvicorn's ``log_config``, Alembic's ``fileConfig``) not to do so.

    Args:
        level: The lowest level to show, in capitals.
        log_format: ``console`` for a terminal, ``json`` for one JSON object per line.
        sink: Also gets every line, as a JSON object with its time in ``_time``.
    """
    handler = _StandardError()
    handler.setFormatter(_formatter("timestamp", _renderer(log_format)))
    # Without this, libraries that use structlog (stamina does) print to standard output.
    structlog.configure(
        processors=_OURS,
        wrapper_class=BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    root = logging.getLogger()
    for old in [each for each in root.handlers if _writes_to_the_terminal(each)]:
        root.removeHandler(old)
    for former in [each for each in root.handlers if isinstance(each, Sink)]:
        root.removeHandler(former)
        if former is not sink:
            former.end()
    root.addHandler(handler)
    if sink is not None:
        # NaN and infinity are no JSON and would spoil the whole batch.
        sink.setFormatter(_formatter("_time", JSONRenderer(ensure_ascii=False, allow_nan=False)))
        root.addHandler(sink)
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for library in _CHATTY_LIBRARIES:
        logging.getLogger(library).setLevel(max(root.level, logging.WARNING))


def _formatter(time_key: str, renderer: Processor) -> ProcessorFormatter:
    return ProcessorFormatter(
        foreign_pre_chain=_THEIRS,
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key=time_key),
            ProcessorFormatter.remove_processors_meta,
            _make_printable,
            renderer,
        ],
    )


def bound_context(**fields: str | int) -> AbstractContextManager[None]:
    """Add ``fields`` to every line that this thread logs inside the context.

    Lines of libraries too. Threads started inside do not inherit it: pass their work through
    ``with_context``.
    """
    return structlog.contextvars.bound_contextvars(**fields)


def with_context(function: Callable[P, R]) -> Callable[P, R]:
    """``function``, bound to the present context for whichever thread runs it."""
    context = copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # Two threads cannot enter one context at once, so each gets a copy.
        return context.copy().run(function, *args, **kwargs)

    return run


def _make_printable(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Escape control characters in the texts of a line; line breaks of tracebacks stay."""
    return {name: _printable_value(value) for name, value in event.items()}


def _printable_value(value: object) -> object:
    if isinstance(value, str):
        return "\n".join(printable(line) for line in value.split("\n"))
    if isinstance(value, Mapping):
        return {key: _printable_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_printable_value(each) for each in value]
    return value


def _renderer(log_format: Literal["console", "json"]) -> Processor:
    if log_format == "json":
        return JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _writes_to_the_terminal(handler: logging.Handler) -> bool:
    """Whether ``handler`` is ours or one that ``logging.basicConfig`` made."""
    return type(handler) in (_StandardError, logging.StreamHandler)
