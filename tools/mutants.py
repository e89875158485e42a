"""Mutate the three plans, and print each mutant that no test detects.

Part of ``make mutants``; takes some minutes. It works on a copy, because mutmut writes next to the
files that it mutates. docs/reliability.md explains what a survivor means.
"""  # noqa: INP001 - a script, not part of a package

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLANS = [
    f"pims_pipeline/domain/planning/{plan}.py"
    for plan in ("inbound", "inbound_decisions", "enrichment", "reconciliation")
]
SLOW_TEST = "pims_pipeline_tests/domain/planning/test_interleaving.py"
"""Plays the plans' rules at random: slow, and the other tests hold each rule by example."""
COPIED = ("pims_pipeline", "pims_pipeline_tests")
CONFIG = f"""\
[tool.mutmut]
source_paths = ["pims_pipeline/"]
only_mutate = {PLANS}
also_copy = ["pims_pipeline_tests", "pyproject.toml"]
pytest_add_cli_args_test_selection = ["pims_pipeline_tests/domain"]
pytest_add_cli_args = ["--ignore={SLOW_TEST}"]
"""
_SURVIVOR = re.compile(r"^\s*(\S+): (survived|no tests|timeout|suspicious)$", re.MULTILINE)


def mutmut(copy: Path, *command: str, shown: bool = False) -> str:
    """The output of mutmut; with ``shown`` it goes to the terminal instead."""
    done = subprocess.run(  # noqa: S603 - this interpreter, commands of our own
        [sys.executable, "-m", "mutmut", *command],
        cwd=copy,
        check=True,
        text=True,
        stdout=None if shown else subprocess.PIPE,
    )
    return done.stdout or ""


def main() -> None:
    """Run mutmut on a copy and print the survivors."""
    with tempfile.TemporaryDirectory(prefix="pims-mutants") as directory:
        copy = Path(directory)
        for name in COPIED:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        (copy / "pyproject.toml").write_text(f"{config}\n{CONFIG}", encoding="utf-8")
        mutmut(copy, "run", shown=True)
        survivors = _SURVIVOR.findall(mutmut(copy, "results"))
        for name, fate in survivors:
            changed = [line for line in mutmut(copy, "show", name).splitlines()
                       if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"}]  # fmt: skip
            sys.stdout.write("\n".join(["", f"{fate}: {name}", *changed, ""]))
        sys.stdout.write(f"\n{len(survivors)} mutants survived\n")


if __name__ == "__main__":
    main()
