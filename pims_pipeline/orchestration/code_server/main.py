"""The process that loads the code location, and starts runs in processes of their own.

It is ``dagster api grpc`` with a fork server. The command that starts it is in
``orchestration.services``.
"""

import sys

from pims_pipeline.dagster_names import DEFINITIONS_MODULE
from pims_pipeline.orchestration._dagster_private import RUN_MODULES, serve_code
from pims_pipeline.orchestration.code_server.ending import ENDING
from pims_pipeline.orchestration.code_server.fork_server import CAN_FORK, start_fork_server
from pims_pipeline.orchestration.code_server.run_processes import RunContext, end_runs
from pims_pipeline.providers.registry import registry

END_SECONDS = 90.0
"""How long runs have to end; less than the grace period of the code server's container."""


def run_modules() -> tuple[str, ...]:
    """What runs import. Whatever is missing here is imported by each run."""
    return (
        DEFINITIONS_MODULE,
        *RUN_MODULES,
        *registry().adapter_modules(),
        # Those that `dagster.yaml` names.
        "pims_pipeline.orchestration.storage.pooled",
        "pims_pipeline.orchestration.compute_logs",
        # Loaded by name, when something is first resolved, unpickled or converted.
        *("psycopg2.extras", "_strptime", "encodings.idna"),
        RunContext.__module__,
    )


def main(*, ends_runs: bool = False) -> None:
    """Serve the code location until a signal; the arguments are those of ``dagster api grpc``.

    Args:
        ends_runs: Whether the runs end with it. In a container, which ends with its first process,
            they would be killed; elsewhere they go on while the code server is replaced.
    """
    if CAN_FORK:
        start_fork_server(run_modules())
    try:
        serve_code(sys.argv[1:], RunContext() if CAN_FORK else None, on_end=ENDING.stop)
    finally:
        if ends_runs:
            end_runs(END_SECONDS)
