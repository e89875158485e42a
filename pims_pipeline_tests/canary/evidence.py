"""Everything that the program printed, logged, stored or started, by place.

``Evidence`` returns the places that show a canary; ``leaks`` compares them with those where it
belongs. What happens to the canaries is up to the tests.
"""

import json
import logging
import traceback
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, text

from pims_pipeline.domain.addresses.parsing import DAGSTER_SCHEMA
from pims_pipeline.observability.logging import Sink, configure_logging
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.canary.canaries import Canary, legible, shown_in
from pims_pipeline_tests.canary.processes import ProcessWatch

_BETWEEN = "\0"
"""Between two texts of one place: no spelling of a canary holds it."""
LogLevel = Literal["DEBUG", "INFO"]
NOWHERE: frozenset[str] = frozenset()
"""The places of a canary that nothing may show."""


class Evidence:
    """Texts that the program produced, by place."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = defaultdict(list)
        self._whole: dict[str, tuple[str, str]] = {}

    def add(self, place: str, value: object) -> None:
        """Keep a value to search; numbers and None hold no canary."""
        match value:
            case None | bool() | int() | float():
                return
            case str():
                words = value
            case bytes() | bytearray() | memoryview():
                words = legible(bytes(value))
            case dict() | list() | tuple():
                words = json.dumps(value, ensure_ascii=False, default=str)
            case _:
                words = str(value)
        self._texts[place].append(words)
        self._whole.pop(place, None)

    def places_of(self, canary: Canary) -> set[str]:
        """The places whose texts show the canary."""
        return {place for place in self._texts if shown_in(*self._all_of(place), canary)}

    def _all_of(self, place: str) -> tuple[str, str]:
        """All texts of one place as one text to search, as it is and casefolded."""
        if place not in self._whole:
            words = _BETWEEN.join(self._texts[place])
            self._whole[place] = words, words.casefold()
        return self._whole[place]

    def text_at(self, place: str) -> str:
        """All texts of the places whose name begins with ``place``."""
        return "\n".join(
            words for each, kept in self._texts.items() if each.startswith(place) for words in kept
        )

    def add_database(self, engine: Engine) -> None:
        """Add every value of every table, Dagster's too, by table and column."""
        listed = "SELECT table_schema, table_name FROM information_schema.tables "
        listed += f"WHERE table_schema IN ('public', '{DAGSTER_SCHEMA}')"
        with transaction(engine) as connection:
            for schema, table in connection.execute(text(listed)).all():
                name = table if schema == "public" else f"{schema}.{table}"
                rows = connection.execute(text(f'SELECT * FROM "{schema}"."{table}"'))  # noqa: S608 - names of the catalogue
                for row in rows.mappings():
                    for column, value in row.items():
                        self.add(f"{name}.{column}", value)

    def add_files(self, home: Path) -> None:
        """Add every file, except pictures and the embedded database's files."""
        for path in sorted(home.rglob("*")):
            inside = path.relative_to(home)
            if path.is_file() and path.suffix != ".png" and inside.parts[0] != "postgres":
                self.add(f"file {inside}", path.read_bytes())

    def add_error(self, place: str, error: BaseException) -> None:
        """Add an error and its causes, with their tracebacks, arguments and notes."""
        waiting, known = [error], set[int]()
        while waiting:
            each = waiting.pop()
            if id(each) in known:
                continue
            known.add(id(each))
            self.add(place, "".join(traceback.format_exception(each, chain=False)))
            self.add(place, f"{each!r} {each.args!r} {getattr(each, '__notes__', ())!r}")
            # Those too that ``from None`` hides from the traceback.
            waiting += [found for found in (each.__cause__, each.__context__) if found]

    @contextmanager
    def logging(self, place: str, level: LogLevel = "DEBUG") -> Iterator[None]:
        """Add what the block logs, in both formats: console and JSON."""
        lines, console = _Lines(), StringIO()
        with logging_left_as_found(), redirect_stderr(console):
            configure_logging(level, "console", sink=lines)
            yield
        self.add(place, console.getvalue())
        self.add(f"{place}, in JSON", "\n".join(lines.kept))

    @contextmanager
    def watching_processes(self, place: str) -> Iterator["ProcessWatch"]:
        """Add the command lines of the processes that the block starts."""
        watch = ProcessWatch()
        watch.start()
        try:
            yield watch
        finally:
            watch.end()
            self.add(place, "\n".join(sorted(watch.seen)))


class _Lines(Sink):
    """Keeps each record as a sink would send it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(self.format(record))

    def end(self) -> None:
        """Do nothing: the records stay."""


@contextmanager
def logging_left_as_found() -> Iterator[None]:
    """Restore the root logger after a block that configures it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)


def leaks(
    evidence: Evidence, canaries: Mapping[Canary, frozenset[str]]
) -> dict[str, dict[str, list[str]]]:
    """The places that show a canary though they must not, and the reverse.

    Args:
        evidence: What the program produced.
        canaries: Each with the places that must show it.
    """
    found = {}
    for each, homes in canaries.items():
        places = evidence.places_of(each)
        if places != homes:
            found[each.what] = {
                "leaked to": sorted(places - homes),
                "not seen in": sorted(homes - places),
            }
    return found
