"""The group of all commands: quick, complete, and brief when something is wrong."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pims_pipeline.cli.main import COMMANDS, main
from pims_pipeline_tests.cli.conftest import Pims, complaint

ROOT = Path(__file__).parents[2]
HEAVY = {"alembic", "dagster", "pandas", "playwright", "pydantic", "rich", "sqlalchemy"}


def commands_of(words: str) -> Iterator[tuple[str, click.Command]]:
    """The command called so, and those below it, by their words; groups are not commands."""
    command = main.get_command(click.Context(main), words)
    assert command is not None
    if isinstance(command, click.Group):
        yield from ((f"{words} {name}", child) for name, child in command.commands.items())
    else:
        yield words, command


def test_asking_for_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from pims_pipeline.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(  # noqa: S603 - this interpreter, a fixed program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stderr.strip() == "[]"
    assert "simulate" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)

    assert command is not None
    assert COMMANDS[name].help == command.get_short_help_str(limit=200)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    for words, command in commands_of(name):
        done = CliRunner().invoke(main, [*words.split(), "--help"])
        options = [each for each in command.params if isinstance(each, click.Option)]

        assert f"  pims {words}" in done.stdout
        assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_document_tells_every_option_with_an_example(name: str) -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for words, command in commands_of(name):
        _, found, section = text.partition(f"## `pims {words}`\n")
        assert found, words
        section = section.partition("\n## ")[0]
        told = set(re.findall(r"^\| `(--?[a-z-]+)", section, re.MULTILINE))
        options = [each for each in command.params if isinstance(each, click.Option)]

        assert told == {option.opts[0] for option in options}, words
        assert re.search(rf"^    (?:\S.* \| )?pims {words}\b", section, re.MULTILINE), words


def test_the_document_tells_of_no_other_command() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    told = re.findall(r"^## `pims (\S+)(?: (\S+))?`$", text, re.MULTILINE)
    groups = {noun for noun, verb in told if verb}
    known = {(noun, verb) for noun in groups for verb in verbs(noun)}

    assert {noun for noun, _ in told} == set(COMMANDS)
    assert {(noun, verb) for noun, verb in told if verb} == known


def verbs(noun: str) -> list[str]:
    """The commands of a group."""
    return [words.split()[1] for words, _ in commands_of(noun)]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option"),
        (["clinics", "nonsense"], "No such command 'nonsense'"),
        (["clinics", "add"], "Missing argument 'SLUG'"),
        (["sync", "inbound"], "Missing option '--clinic'"),
        (["simulate", "--port", "many"], "Invalid value for '--port'"),
    ],
)
def test_a_mistyped_command_takes_one_line_and_ends_with_2(
    pims: Pims, args: list[str], told: str
) -> None:
    done = pims(*args)

    assert done.exit_code == 2
    assert told in complaint(done)
    assert "--help`" in complaint(done)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LOG_LEVEL", "LOUD"), ("PIMS_PARTITION_START", "soon"), ("ENCRYPTION_KEY", "c2hvcnQ=")],
)
def test_a_wrong_setting_is_named(pims: Pims, variable: str, value: str) -> None:
    done = pims("status", **{variable: value})

    assert done.exit_code == 1
    assert variable in complaint(done)


def test_a_missing_key_is_named(pims: Pims) -> None:
    done = pims("status", ENCRYPTION_KEY=None)

    assert done.exit_code == 1
    assert "ENCRYPTION_KEY must be set when PIMS_DATABASE_URL is" in complaint(done)


def test_help_is_given_whatever_the_settings(pims: Pims) -> None:
    assert pims("status", "--help", LOG_LEVEL="LOUD").exit_code == 0


def test_an_unforeseen_failure_names_its_kind_alone(
    pims: Pims, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("Amelia Müller")

    monkeypatch.setattr("pims_pipeline.operations.status.clinic_states", fails)
    done = pims("status")

    assert done.exit_code == 1
    assert "KeyError" in complaint(done)
    assert "LOG_LEVEL=DEBUG" in complaint(done)
    assert "Amelia" not in done.output


def test_a_traceback_is_shown_when_debugging(pims: Pims, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyError("anything")

    monkeypatch.setattr("pims_pipeline.operations.status.clinic_states", fails)
    done = pims("status", LOG_LEVEL="DEBUG")

    assert "Traceback" in done.stderr
    assert done.stdout == ""


def test_a_database_that_does_not_answer_is_told(pims: Pims, tmp_path: Path) -> None:
    done = pims("status", PIMS_DATABASE_URL=f"postgresql://me:hidden@/x?host={tmp_path}")

    assert done.exit_code == 1
    assert "cannot reach database 'x'" in complaint(done)
    assert "hidden" not in done.output
