"""Find or install a PgBouncer for the tests; part of ``make setup``.

Searches the path and the directories of servers, then the system's package manager. Only tests
need it: without it they are skipped, and in CI, where a skipped test is a failure, this fails.

    python tools/ensure_pgbouncer.py MARKER    touches the file MARKER when PgBouncer is found
"""  # noqa: INP001 - a script, not part of a package

import os
import shutil
import sys
from pathlib import Path

from system_packages import install

PLACES = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"))
ADVICE = (
    "No PgBouncer was found or could be installed: install the package pgbouncer, and run make "
    "setup again. Until then the tests of poolers are skipped."
)


def found() -> str | None:
    """The path of the PgBouncer that the tests will start."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path=PLACES)


def main() -> None:
    """Install PgBouncer if it is missing; in CI, exit 1 if that fails."""
    if found() is None:
        install("pgbouncer", brew=["pgbouncer"])
    path = found()
    if path is None:
        print(ADVICE, file=sys.stderr)  # noqa: T201 - a script
        sys.exit(1 if os.environ.get("CI") else 0)
    for marker in sys.argv[1:]:
        Path(marker).touch()
    print(f"PgBouncer: {path}")  # noqa: T201 - a script


if __name__ == "__main__":
    main()
