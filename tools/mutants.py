"""Changes the three plans in many small ways and shows each change that no test detects.

``make mutants`` runs it; it takes some minutes. It works in a copy, because mutmut writes beside
the files that it changes. docs/reliability.md says what a survivor means.
"""  # noqa: INP001 - a script, not part of a package

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLANS = tuple(
    f"pims_pipeline/domain/planning/{module}.py"
    for module in ("inbound", "inbound_decisions", "enrichment", "reconciliation")
)
COPIED = ("pims_pipeline", "pims_pipeline_tests")
CONFIG = f"""\
[tool.mutmut]
source_paths = ["pims_pipeline/"]
only_mutate = {list(PLANS)}
also_copy = ["pims_pipeline_tests", "pyproject.toml"]
pytest_add_cli_args_test_selection = ["pims_pipeline_tests/domain"]
pytest_add_cli_args = ["--ignore=pims_pipeline_tests/domain/planning/test_interleaving.py"]
"""
# The ignored tests repeat the plans' rules on random input, and take the longest.
_SURVIVOR = re.compile(r"^\s*(\S+): (survived|no tests|timeout|suspicious)$", re.MULTILINE)


def mutmut(copy: Path, *command: str, shown: bool = False) -> str:
    """The output of mutmut; ``shown`` lets it write to the terminal instead."""
    done = subprocess.run(  # noqa: S603 - this interpreter, commands of our own
        [sys.executable, "-m", "mutmut", *command],
        cwd=copy,
        check=True,
        text=True,
        stdout=None if shown else subprocess.PIPE,
    )
    return done.stdout or ""


def main() -> None:
    """Run mutmut on a copy and write out the survivors."""
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
        sys.stdout.write(f"\n{len(survivors)} mutants were not detected\n")


if __name__ == "__main__":
    main()
