"""The process of ``pims up --demo`` that serves the simulated vendor.

Like ``pims simulate``, but it loads no settings, no database and no terminal: half the memory.
"""

import argparse
import logging
import sys

from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.simulator.practice.clinics import DEMO_CLINICS

_PROGRAM = "from pims_pipeline.cli.up.simulator import main; main()"


def simulator_command(port: int) -> list[str]:
    """The command line of the process, which listens on loopback."""
    return [sys.executable, "-c", _PROGRAM, f"--port={port}"]


def main() -> None:
    """Serve the simulator until a signal."""
    from pims_pipeline.simulator.server import (  # noqa: PLC0415 - for this process only
        SimulatorConfig,
        serve,
    )

    parser = argparse.ArgumentParser(description="Serves the simulated vendor for pims up.")
    parser.add_argument("--port", required=True, type=int)
    port: int = parser.parse_args().port
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    serve(SimulatorConfig(clinics=DEMO_CLINICS), port=port, on_ready=say)
