"""The tools around the code: the skip guard of CI, the search for a browser, the mutants."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SUITE = """
import pytest

def test_passes(): pass

@pytest.mark.skip(reason="no lamb")
def test_skips(): pass

@pytest.mark.xfail(reason="known")
def test_expects_to_fail(): assert False
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``command`` with this interpreter, with ``CI`` only if the test sets it."""
    inherited = {key: value for key, value in os.environ.items() if key != "CI"}
    return subprocess.run(  # noqa: S603 - this interpreter, fixed arguments
        [sys.executable, *command],
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def run_suite(suite: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plugin = ("-p", "pims_pipeline_tests.no_skips", "-p", "no:cacheprovider")
    return run("-m", "pytest", "-c", os.devnull, *plugin, *options, cwd=suite, **environment)


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_a_skip_in_ci_is_a_failure_that_says_what_was_skipped(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    (tmp_path / "test_whole_file.py").write_text(
        "import pytest\npytest.importorskip('no_such_module_anywhere')\n", encoding="utf-8"
    )

    done = run_suite(tmp_path, *options, CI="true")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "test_suite.py::test_skips: Skipped: no lamb" in done.stdout
    assert "test_suite.py::test_expects_to_fail: expected to fail: known" in done.stdout
    assert "test_whole_file.py: " in done.stdout
    assert "1 passed" in done.stdout.splitlines()[-1]


def test_a_suite_without_skips_passes_in_ci(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text("def test_passes(): pass\n", encoding="utf-8")

    assert run_suite(tmp_path, CI="true").returncode == pytest.ExitCode.OK


def test_outside_ci_a_skip_is_only_a_skip(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")

    assert run_suite(tmp_path).returncode == pytest.ExitCode.OK


def test_the_browser_of_the_setting_is_used(tmp_path: Path) -> None:
    script = ROOT / "tools" / "ensure_chromium.py"

    done = run(script, cwd=tmp_path, PIMS_CHROMIUM_PATH=sys.executable)

    assert (done.returncode, done.stdout) == (0, f"Chromium: {sys.executable}\n")


def test_a_wrong_path_to_a_browser_is_an_error_and_starts_no_download(
    tmp_path: Path,
) -> None:
    script = ROOT / "tools" / "ensure_chromium.py"

    done = run(script, cwd=tmp_path, PIMS_CHROMIUM_PATH=str(tmp_path / "gone"))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("PIMS_CHROMIUM_PATH must be ")
    assert len(done.stderr.splitlines()) == 1


def test_the_mutants_are_of_modules_that_exist() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "mutants.py"))

    named = (*tool["PLANS"], tool["SLOW_TEST"])
    assert [path for path in named if not (ROOT / path).is_file()] == []
