"""The signal that the code server's process ends, for sensors that wait for others' servers.

Runs have a process and a signal of their own.
"""

from typing import Final

from pims_pipeline.providers.stop_signal import StopSignal

ENDING: Final = StopSignal()
"""Of this process; ``main`` stops it."""
