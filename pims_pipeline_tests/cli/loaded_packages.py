"""A program for ``test_imports``: runs commands, and writes which packages each has loaded.

Its arguments are commands, each as one argument. It writes one line of JSON for each: the top-level
packages that are neither ours nor Python's. Each command runs in a fork, so that what all commands
share is imported once.
"""

import io
import json
import os
import sys
from contextlib import redirect_stdout

from pims_pipeline.cli import runtime
from pims_pipeline.cli.main import main


def third_party_packages() -> list[str]:
    """The packages of others that this process has loaded, without helpers of compiled ones."""
    loaded = {name.partition(".")[0] for name in sys.modules}
    ours = {runtime.__name__.partition(".")[0], "pims_pipeline_tests"}
    others = loaded - sys.stdlib_module_names - ours - {"cython_runtime"}
    return sorted(name for name in others if not name.startswith("_"))


def run(command: str) -> None:
    """Run a command, and write what is loaded then."""
    with redirect_stdout(io.StringIO()):
        main(command.split(), standalone_mode=False)
    sys.stdout.write(f"{json.dumps(third_party_packages())}\n")
    sys.stdout.flush()


for each in sys.argv[1:]:
    child = os.fork()
    if not child:
        run(each)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{each} failed")
