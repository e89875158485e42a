"""Strings that must not come up, everything that is looked through for them, and the looking.

A canary is made up for one test, which uses it as a password, as a client's name, as a note.
``Evidence`` is whatever the program said, wrote or started, by place; it names the places where
a canary is to be seen, however it is written there. What happens to the canaries is the tests'.
"""

import base64
import html
import json
import logging
import secrets
import traceback
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field
from functools import cache
from io import StringIO
from pathlib import Path
from threading import Condition, Thread
from typing import Literal
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]  # it carries no types
from sqlalchemy import Engine, text

from pims_pipeline.observability.logging import Sink, configure_logging
from pims_pipeline.store.database.dagster_schema import DAGSTER_SCHEMA
from pims_pipeline.store.database.engine import transaction

_PIECE = 16
_LOOK_SECONDS = 0.1
_BETWEEN = "\0"
"""Between two things that were said: no spelling of a canary holds it."""
LogLevel = Literal["DEBUG", "INFO"]


@dataclass(frozen=True, slots=True)
class Canary:
    """A string that is a secret, or somebody's, and stands nowhere by chance.

    Attributes:
        what: What it is used as.
        text: As it is typed, sent or kept.
        pieces: Parts of it, any one of which gives it away.
    """

    what: str
    text: str = field(repr=False)
    pieces: tuple[str, ...] = field(repr=False)


def canary(what: str, written: str = "{}") -> Canary:
    """A new one.

    Args:
        what: What it is used as.
        written: What stands around the word that gives it away, which is put for ``{}``.
    """
    word = f"kanari{what.title().replace(' ', '')}{secrets.token_hex(5)}"
    return Canary(what, written.format(word), (word,))


def secret_canary(what: str, made: str) -> Canary:
    """One that somebody else made up at random; a part of it is too much already."""
    starts = range(0, max(len(made) - _PIECE, 0) + 1, _PIECE // 2)
    return Canary(what, made, tuple(made[start : start + _PIECE] for start in starts))


@cache
def _spellings(piece: str) -> tuple[frozenset[str], frozenset[str]]:
    """How a piece may be written: in either case, and in this case alone."""
    as_json = json.dumps(piece)[1:-1]
    either = {
        piece,
        quote(piece, safe=""),
        html.escape(piece),
        as_json,
        json.dumps(as_json)[1:-1],
        piece.encode().hex(),
    }
    exact = {_base64_inside(piece.encode(), before) for before in range(3)}
    exact |= {each.replace("+", "-").replace("/", "_") for each in exact}
    return frozenset(each.casefold() for each in either), frozenset(exact)


def _base64_inside(piece: bytes, before: int) -> str:
    """What base64 of a longer text shows of a piece with so many bytes before it, modulo 3."""
    encoded = base64.b64encode(bytes(before) + piece).decode().rstrip("=")
    # The first and last of its letters may belong to neighbours too.
    first = (before * 4 + 2) // 3
    whole = (before + len(piece)) * 4 // 3
    return encoded[first:whole]


def shows(said: str | bytes, canary: Canary) -> bool:
    """Whether anything of the canary can be read in it, by whoever takes a little trouble."""
    words = said if isinstance(said, str) else _legible(said)
    return _shown(words, words.casefold(), canary)


def _shown(words: str, folded: str, canary: Canary) -> bool:
    for piece in canary.pieces:
        either, exact = _spellings(piece)
        if any(each in folded for each in either) or any(each in words for each in exact):
            return True
    return False


def _legible(data: bytes) -> str:
    """Bytes as text, unpacked if they are packed; wide characters become narrow ones."""
    with suppress(zlib.error):
        # Of zlib or gzip, whichever its beginning says.
        data = zlib.decompress(data, wbits=zlib.MAX_WBITS | 32)
    return data.replace(b"\0", b"").decode(errors="replace")


class Evidence:
    """What was said, by the place where."""

    def __init__(self) -> None:
        self._said: dict[str, list[str]] = defaultdict(list)
        self._whole: dict[str, tuple[str, str]] = {}

    def add(self, place: str, said: object) -> None:
        """Keep something for the looking through."""
        match said:
            case None | bool() | int() | float():
                return
            case str():
                words = said
            case bytes() | bytearray() | memoryview():
                words = _legible(bytes(said))
            case dict() | list() | tuple():
                words = json.dumps(said, ensure_ascii=False, default=str)
            case _:
                words = str(said)
        self._said[place].append(words)
        self._whole.pop(place, None)

    def clinic_phases_of(self, canary: Canary) -> set[str]:
        """Where it is to be seen."""
        return {place for place in self._said if _shown(*self._all_of(place), canary)}

    def _all_of(self, place: str) -> tuple[str, str]:
        """Everything of one place as it was said, and casefolded: one text is looked through."""
        if place not in self._whole:
            words = _BETWEEN.join(self._said[place])
            self._whole[place] = words, words.casefold()
        return self._whole[place]

    def said_at(self, place: str) -> str:
        """Everything of one place, or of those that begin so."""
        return "\n".join(
            words for each, said in self._said.items() if each.startswith(place) for words in said
        )

    def add_database(self, engine: Engine) -> None:
        """Every value of every table, Dagster's among them, by table and column."""
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
        """Every file, but for pictures and the embedded database's own."""
        for path in sorted(home.rglob("*")):
            inside = path.relative_to(home)
            if path.is_file() and path.suffix != ".png" and inside.parts[0] != "postgres":
                self.add(f"file {inside}", path.read_bytes())

    def add_error(self, place: str, error: BaseException) -> None:
        """All that an error and those behind it say, with their tracebacks."""
        waiting, known = [error], set[int]()
        while waiting:
            each = waiting.pop()
            if id(each) in known:
                continue
            known.add(id(each))
            self.add(place, "".join(traceback.format_exception(each, chain=False)))
            self.add(place, f"{each!r} {each.args!r} {getattr(each, '__notes__', ())!r}")
            # Those too that ``from None`` keeps out of a traceback.
            waiting += [found for found in (each.__cause__, each.__context__) if found]

    @contextmanager
    def logging(self, place: str, level: LogLevel = "DEBUG") -> Iterator[None]:
        """Within, everything is logged for people and in JSON; both are then evidence."""
        lines, spoken = _Lines(), StringIO()
        with logging_left_as_found(), redirect_stderr(spoken):
            configure_logging(level, "console", sink=lines)
            yield
        self.add(place, spoken.getvalue())
        self.add(f"{place}, in JSON", "\n".join(lines.said))

    @contextmanager
    def watching_processes(self, place: str) -> Iterator["Watch"]:
        """Within, the command lines of all that this process starts are kept."""
        watch = Watch()
        watch.start()
        try:
            yield watch
        finally:
            watch.end()
            self.add(place, "\n".join(sorted(watch.seen)))


class Watch(Thread):
    """Looks at the descendants of this process again and again.

    Attributes:
        seen: Their command lines so far.
    """

    def __init__(self) -> None:
        super().__init__(name="watch")
        self.seen: set[str] = set()
        self._looks = 0
        self._changed = Condition()
        self._is_over = False

    def run(self) -> None:
        this = psutil.Process()
        while not self._is_over:
            for each in this.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    self.seen.add(" ".join(each.cmdline()))
            with self._changed:
                self._looks += 1
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._is_over, _LOOK_SECONDS)

    def wait_for_a_look(self) -> None:
        """Return when it has looked at everything that runs now."""
        with self._changed:
            # The one that is being taken may have begun too early.
            wanted = self._looks + 2
            assert self._changed.wait_for(lambda: self._looks >= wanted, timeout=60)

    def end(self) -> None:
        """Look no more."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self.join()


class _Lines(Sink):
    """Keeps what it is given, as a sink would send it."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))

    def end(self) -> None:
        """What it was given stays."""


@contextmanager
def logging_left_as_found() -> Iterator[None]:
    """Within, logging may be set up again."""
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
    """Where canaries are seen and should not be, and where they are not and should be.

    Args:
        evidence: Of what was done with them.
        canaries: With the places where each belongs.
    """
    found = {}
    for each, homes in canaries.items():
        places = evidence.clinic_phases_of(each)
        if places != homes:
            found[each.what] = {
                "leaked to": sorted(places - homes),
                "not seen in": sorted(homes - places),
            }
    return found
