"""What Dagster loads: all definitions of the folder ``defs``."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """The project's assets, with those of the components that it uses."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
