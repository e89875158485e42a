"""The group of all commands: fast help, complete documentation, one-line errors."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pims_pipeline.cli.main import COMMANDS, main
from pims_pipeline_tests.cli.invocation import Pims, error_line

ROOT = Path(__file__).parents[2]
HEAVY = {"alembic", "dagster", "pandas", "playwright", "pydantic", "rich", "sqlalchemy"}


def commands_of(words: str) -> Iterator[tuple[str, click.Command]]:
    """The command with that name, or those of the group, with their full names."""
    command = main.get_command(click.Context(main), words)
    assert command is not None
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield f"{words} {name}", child
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
def test_the_list_of_commands_has_the_first_line_of_each_help(name: str) -> None:
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
def test_the_document_has_every_option_and_an_example(name: str) -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for words, command in commands_of(name):
        _, found, section = text.partition(f"## `pims {words}`\n")
        assert found, words
        section = section.partition("\n## ")[0]
        documented = set(re.findall(r"^\| `(--?[a-z-]+)", section, re.MULTILINE))
        options = [each for each in command.params if isinstance(each, click.Option)]

        assert documented == {option.opts[0] for option in options}, words
        assert re.search(rf"^    (?:\S.* \| )?pims {words}\b", section, re.MULTILINE), words


def test_the_tables_of_options_have_ranges_and_defaults() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `--")]
    assert "| `--clinic` | Only this clinic. Default: all clinics. |" in rows
    assert any(
        row.endswith("The port of the REST API. Between 1 and 65535. Default: `8000`. |")
        for row in rows
    )
    assert any(row.startswith("| `--watch`") and row.endswith("At least 0.5. |") for row in rows)
    assert [row for row in rows if "None" in row or "Sentinel" in row] == []


def test_the_document_has_no_other_command() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    documented = re.findall(r"^## `pims (\S+)(?: (\S+))?`$", text, re.MULTILINE)
    groups = {noun for noun, verb in documented if verb}
    known = {(noun, verb) for noun in groups for verb in verbs(noun)}

    assert {noun for noun, _ in documented} == set(COMMANDS)
    assert {(noun, verb) for noun, verb in documented if verb} == known


def verbs(noun: str) -> list[str]:
    """The commands of a group."""
    return [words.split()[1] for words, _ in commands_of(noun)]


@pytest.mark.parametrize(
    ("args", "message"),
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
    pims: Pims, args: list[str], message: str
) -> None:
    done = pims(*args)

    assert done.exit_code == 2
    assert message in error_line(done)
    assert "--help`" in error_line(done)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LOG_LEVEL", "LOUD"), ("PIMS_PARTITION_START", "soon"), ("ENCRYPTION_KEY", "c2hvcnQ=")],
)
def test_a_wrong_setting_is_named(pims: Pims, variable: str, value: str) -> None:
    done = pims("status", **{variable: value})

    assert done.exit_code == 1
    assert variable in error_line(done)


def test_a_missing_key_is_named(pims: Pims) -> None:
    done = pims("status", ENCRYPTION_KEY=None)

    assert done.exit_code == 1
    assert "ENCRYPTION_KEY must be set when PIMS_DATABASE_URL is" in error_line(done)


def test_help_does_not_depend_on_the_settings(pims: Pims) -> None:
    assert pims("status", "--help", LOG_LEVEL="LOUD").exit_code == 0


def test_an_unexpected_error_shows_only_its_type(
    pims: Pims, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("Amelia Müller")

    monkeypatch.setattr("pims_pipeline.operations.status.clinic_states", fails)
    done = pims("status")

    assert done.exit_code == 1
    assert "KeyError" in error_line(done)
    assert "LOG_LEVEL=DEBUG" in error_line(done)
    assert "Amelia" not in done.output


def test_a_traceback_is_shown_when_debugging(pims: Pims, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyError("anything")

    monkeypatch.setattr("pims_pipeline.operations.status.clinic_states", fails)
    done = pims("status", LOG_LEVEL="DEBUG")

    assert "Traceback" in done.stderr
    assert done.stdout == ""


def test_a_database_that_cannot_be_reached_is_reported(pims: Pims, tmp_path: Path) -> None:
    done = pims("status", PIMS_DATABASE_URL=f"postgresql://me:hidden@/x?host={tmp_path}")

    assert done.exit_code == 1
    assert "cannot reach database 'x'" in error_line(done)
    assert "hidden" not in done.output
