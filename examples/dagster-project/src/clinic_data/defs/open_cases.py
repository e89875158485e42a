"""An asset of the project, over what the pipeline syncs."""

import dagster as dg


@dg.asset(
    deps=["appointments"],
    group_name="care",
    description="A place for the project's own work over `cases`.",
)
def open_cases() -> None:
    """Read the table `cases` of the database here."""
