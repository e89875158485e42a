"""The documents match the code: settings, make targets, links, files, commands, decisions."""

import importlib
import importlib.util
import itertools
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import click
import pytest
from cogapp import Cog  # type: ignore[import-untyped]  # it carries no types
from pydantic import Field

from pims_pipeline.setting_areas import SettingsArea
from pims_pipeline.settings import Settings, variable_names
from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.test_repository import FILES, modules

ROOT = Path(__file__).parent.parent
DOCUMENTS = [path for path in FILES if path.suffix == ".md"]
_CODE = re.compile(r"```.*?```|^(?: {4}|\t).*?$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")


def documented_settings() -> dict[str, str]:
    """The defaults that docs/settings.md states, by variable."""
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]*) \|", text, re.MULTILINE))


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    assert set(documented_settings()) == set(variable_names().values())


def test_the_documented_defaults_are_those_of_the_code() -> None:
    defaults = {
        str(field.validation_alias): f"`{str(field.default).removesuffix('.0')}`"
        for field in Settings.model_fields.values()
        if isinstance(field.default, str | int | float | Path)
    }
    lower_case = {"`True`": "`true`", "`False`": "`false`"}
    documented = documented_settings()

    assert {name: documented[name] for name in defaults} == {
        name: lower_case.get(default, default) for name, default in defaults.items()
    }


def test_the_tables_that_come_from_the_code_are_up_to_date() -> None:
    names = ("cli.md", "settings.md", "performance.md", "providers/README.md")
    documents = [str(ROOT / "docs" / name) for name in (*names, "providers/writing-one.md")]

    assert Cog().main(["cog", "--check", "-I", str(ROOT / "tools"), *documents]) == 0, "make docs"


def tool(name: str) -> ModuleType:
    """The script ``name`` of tools/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_setting_without_a_meaning_is_noticed() -> None:
    class UnexplainedSettings(SettingsArea):
        explained: int = Field(default=1, validation_alias="EXPLAINED")
        """A meaning."""

        unexplained: int = Field(default=1, validation_alias="UNEXPLAINED")

    with pytest.raises(LookupError, match="UnexplainedSettings: no docstring below unexplained"):
        tool("reference").settings_table(UnexplainedSettings)


def test_the_table_of_settings_shows_default_values_and_meaning() -> None:
    class SampleSettings(SettingsArea):
        sample: bool = Field(default=True, validation_alias="SAMPLE", description="true or false")
        """Whether ``this`` is
        a sample."""

    [row] = [
        line
        for line in tool("reference").settings_table(SampleSettings).splitlines()
        if "SAMPLE" in line
    ]

    assert row == "| `SAMPLE` | `true` | true or false | Whether `this` is a sample. |"


def test_the_plans_that_make_mutants_changes_exist() -> None:
    assert [plan for plan in tool("mutants").PLANS if plan not in PATHS] == []


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    described = re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE)
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)

    assert sorted(described) == sorted(targets)
    assert sorted(" ".join(phony).split()) == sorted(targets)


def test_every_make_target_a_document_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        (path.name, target)
        for path in DOCUMENTS
        for target in re.findall(
            r"(?:^ {4}|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    }

    assert {(name, target) for name, target in named if target not in targets} == set()


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, in the form that code hosts generate."""
    headings = re.findall(r"^#+ +(.*?) *#*$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    """The relative links of ``document`` that lead to no file or to no heading."""
    prose = _CODE.sub("", document.read_text(encoding="utf-8"))
    for link in _LINK.findall(prose):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        target, _, anchor = link.partition("#")
        path = document.parent / target if target else document
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            yield link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    assert list(broken_links(document)) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "# One & two\n[a](#one--two) [b](page.md) [c](gone.md) [d](page.md#three) "
        "[e](https://example.org) `[f](code.md)`\n",
        encoding="utf-8",
    )

    assert list(broken_links(document)) == ["gone.md", "page.md#three"]


PATHS = {path.relative_to(ROOT).as_posix() for path in FILES}
_FILE = re.compile(r"`(\w[\w./-]*\.(?:py|yaml|json|txt))`")


def missing_files(text: str) -> list[str]:
    """The files that ``text`` names in backquotes, by the end of their paths, and that are none."""
    return [
        named
        for named in _FILE.findall(text)
        if not any(f"/{path}".endswith(f"/{named}") for path in PATHS)
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    assert missing_files(document.read_text(encoding="utf-8")) == []


def test_a_file_that_is_not_there_is_noticed() -> None:
    text = "`settings.py`, `pims_pipeline/settings.py`, `ettings.py`, `store/settings.py`"

    assert missing_files(text) == ["ettings.py", "store/settings.py"]


RECORDS = [
    path
    for path in DOCUMENTS
    if path.parent == ROOT / "docs" / "decisions" and path.name[0].isdigit()
]
SECTIONS = ["Context", "Decision", "Consequences", "Enforced by"]
LONGEST_RECORD = 300
"""Words: a page."""

_RECORD = r"\[decision \d+\]\(\d{4}-[a-z0-9-]+\.md\)"
_STATUS = re.compile(
    r"^Status: accepted, (\d{4}-\d{2}-\d{2})"
    rf"(?:; replaces {_RECORD})?(?:; replaced by {_RECORD}, (\d{{4}}-\d{{2}}-\d{{2}}))?$",
    re.MULTILINE,
)


def names_of(kind: str, text: str) -> set[str]:
    """The names that follow the word ``kind``, or its plural, in a record."""
    lists = re.findall(rf"\b{kind}(?:s|es)?((?:(?:,|\s|and)*`[^`]+`)+)", text)
    return {name for each in lists for name in re.findall(r"`([^`]+)`", each)}


def contracts() -> set[str]:
    """The names of the contracts that import-linter holds."""
    text = (ROOT / ".importlinter").read_text(encoding="utf-8")
    return set(re.findall(r"^\[importlinter:contract:(.+)\]$", text, re.MULTILINE))


def constraints() -> set[str]:
    """The names of the tables' constraints and indexes."""
    tables = metadata.tables.values()
    named = {str(each.name) for table in tables for each in table.constraints}
    return named | {str(each.name) for table in tables for each in table.indexes}


def faults_of(record: str, index: str, file_name: str) -> Iterator[str]:
    """What is wrong with the text of a decision record, given the list of all records.

    Tests are named by file name alone, so that they may move between folders.
    """
    statuses = _STATUS.findall(record)
    if len(statuses) != 1 or record.count("\nStatus:") != 1:
        yield "no single status with its date"
    for day in filter(None, itertools.chain.from_iterable(statuses)):
        try:
            date.fromisoformat(day)
        except ValueError:
            yield f"{day} is no date"
    sections = re.findall(r"^## (.*)$", record, re.MULTILINE)
    if sections not in (SECTIONS, [*SECTIONS, "Alternatives"]):
        yield f"its sections are {sections}"
    if len(record.split()) > LONGEST_RECORD:
        yield f"it has more than {LONGEST_RECORD} words"
    number, title = re.findall(r"\A# (\d+)\. (.*)\n", record)[0]
    if f"\n{number}. [{title}]({file_name})" not in index:
        yield "it is not in the list of records"
    present = {path.name for path in modules(ROOT / "pims_pipeline_tests")}
    for name in sorted(set(re.findall(r"\btest_\w+\.py", record)) - present):
        yield f"there is no {name}"
    for name in sorted(names_of("contract", record) - contracts()):
        yield f"there is no contract {name}"
    kept_by_database = names_of("constraint", record) | names_of("index", record)
    for name in sorted(kept_by_database - constraints()):
        yield f"there is no constraint or index {name}"


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.name)
def test_every_decision_has_a_date_and_what_enforces_it(record: Path) -> None:
    index = (record.parent / "README.md").read_text(encoding="utf-8")

    assert list(faults_of(record.read_text(encoding="utf-8"), index, record.name)) == []


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


_SOUND = """# 1. Title

Status: accepted, 2026-11-22; replaced by [decision 2](0002-two.md), 2026-11-27

## Context

## Decision

## Consequences

## Enforced by

- `test_docs.py`, and the contracts `floors`,
  `slack` and `cronsim`.
- The constraints `pk_cases` and `ck_cases_status`, the index `uq_alerts_open`.
"""


@pytest.mark.parametrize(
    ("sound", "faulty", "fault"),
    [
        ("accepted, 2026-11-22;", "accepted;", "no single status with its date"),
        ("Status: accepted, 2026-11-22", "Status: proposed", "no single status with its date"),
        ("2026-11-27", "2026-11-31", "2026-11-31 is no date"),
        ("\n## Decision\n", "", "its sections are ['Context', 'Consequences', 'Enforced by']"),
        ("## Decision\n", f"## Decision\n{'word ' * 300}", "it has more than 300 words"),
        ("# 1. Title", "# 1. Another", "it is not in the list of records"),
        ("`test_docs.py`", "`test_gone.py`", "there is no test_gone.py"),
        ("`slack`", "`gone`", "there is no contract gone"),
        ("`cronsim`", "`gone`", "there is no contract gone"),
        ("`ck_cases_status`", "`gone`", "there is no constraint or index gone"),
        ("`uq_alerts_open`", "`gone`", "there is no constraint or index gone"),
    ],
)
def test_a_fault_of_a_decision_is_noticed(sound: str, faulty: str, fault: str) -> None:
    index = "# Decisions\n\n1. [Title](0001-one.md)\n"
    assert list(faults_of(_SOUND, index, "0001-one.md")) == []

    assert list(faults_of(_SOUND.replace(sound, faulty), index, "0001-one.md")) == [fault]


def command_paths(command: click.Command, path: str) -> Iterator[str]:
    """The full names of ``command`` and the commands below it, without groups."""
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        # By name, because a group may load its commands lazily.
        child = command.get_command(context, name)
        assert child is not None
        if not child.hidden:
            yield from command_paths(child, f"{path} {name}")


def undocumented_commands(group: click.Group, text: str) -> list[str]:
    """The commands of ``group`` that ``text`` does not name in full."""
    return [
        path
        for path in command_paths(group, "pims")
        if not re.search(rf"\b{re.escape(path)}(?![\w-])", text)
    ]


def test_a_command_missing_from_the_documents_is_noticed() -> None:
    @click.group()
    def main() -> None: ...

    @main.group()
    def clinics() -> None: ...

    @clinics.command()
    def add() -> None: ...

    @main.command()
    def up() -> None: ...

    @main.command("up-to")
    def up_to() -> None: ...

    assert undocumented_commands(main, "`pims up-to`; `pims clinics`") == [
        "pims clinics add",
        "pims up",
    ]
    assert undocumented_commands(main, "`pims clinics add SLUG`, `pims up`, `pims up-to`") == []


def test_every_command_is_documented() -> None:
    document = ROOT / "docs" / "cli.md"
    if document.exists() and importlib.util.find_spec("pims_pipeline.cli.main"):
        main = importlib.import_module("pims_pipeline.cli.main").main
        text = document.read_text(encoding="utf-8")

        assert undocumented_commands(main, text) == []
