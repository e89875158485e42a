"""One word for one thing: what docs/glossary.md rules out is in no code, text or name."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pims_pipeline_tests.test_repository import FILES, ROOT, name

GLOSSARY = ROOT / "docs" / "glossary.md"
READ_BY_PEOPLE = {".py", ".md", ".toml", ".yaml", ".ini", ".html", ".sql", ""}
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""A word of prose or of an identifier: ``UntoldAlerts`` has two, ``untold_alerts`` too."""


def ruled_out() -> frozenset[tuple[str, ...]]:
    """The words and phrases of the last column, and those below the table."""
    text = GLOSSARY.read_text(encoding="utf-8")
    cells = [line.rsplit("|", 2)[1] for line in text.splitlines() if line.startswith("| **")]
    last = text.rpartition("Also ruled out")[2]
    phrases = re.findall(r"`([^`]+)`", " ".join([*cells, last]))
    return frozenset(tuple(phrase.lower().replace("'", " ").split()) for phrase in phrases)


RULED_OUT = ruled_out()
_FIRST = {phrase[0] for phrase in RULED_OUT}


def found_in(text: str) -> Iterator[str]:
    """Each ruled-out word or phrase of ``text``, with the number of its line."""
    words = [
        (part.group().lower(), number)
        for number, line in enumerate(text.splitlines(), start=1)
        for part in _PART.finditer(line)
    ]
    for index, (first, number) in enumerate(words):
        for length in (1, 2, 3) if first in _FIRST else ():
            phrase = tuple(word for word, _ in words[index : index + length])
            if len(phrase) == length and phrase in RULED_OUT:
                yield f"{number}: {' '.join(phrase)}"


def test_the_glossary_rules_words_out() -> None:
    assert {("diary",), ("medical", "record"), ("nobody",), ("dagster", "s", "pages")} <= RULED_OUT


def test_a_ruled_out_word_is_noticed_in_names_and_across_lines() -> None:
    assert list(found_in("class ToldOnce:\n    the_diary = 'medical\nrecords' # retold")) == [
        "1: told",
        "2: diary",
        "2: medical records",
    ]


NOT_OURS_TO_WORD = {
    ROOT / "LICENSE": "its text is the license's",
    ROOT / "CHANGELOG.md": "it quotes former names beside the present ones",
    GLOSSARY: "it lists the words",
    ROOT / "pims_pipeline" / "domain" / "records" / "words.py": "its words are the vendors'",
    Path(__file__): "it tries them",
}


def _checked(path: Path) -> bool:
    return path.suffix in READ_BY_PEOPLE and path not in NOT_OURS_TO_WORD


@pytest.mark.parametrize("path", [path for path in FILES if _checked(path)], ids=name)
def test_no_ruled_out_word_is_used(path: Path) -> None:
    assert list(found_in(path.read_text(encoding="utf-8"))) == []
