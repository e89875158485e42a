"""One load of JSON lines with dlt: an upsert by primary key into one table, rows sent by COPY.

Runs in dlt's own environment, as ``bench/peers.py`` starts it. dlt keeps its files in the working
directory.
"""

import os
import sys
from pathlib import Path

import dlt  # type: ignore[import-not-found]  # installed in its own environment
from timing import TIMES, rows, timed


def main() -> None:
    """Load the file that the only argument names."""
    appointments = rows(Path(sys.argv[1]))
    # It requires a host and a password; the driver takes the socket that the query names.
    url = os.environ["PEER_DATABASE_URL"].replace("@/", ":none@localhost/")
    pipeline = dlt.pipeline(
        "appointments",
        pipelines_dir=str(Path.cwd() / "dlt"),
        destination=dlt.destinations.postgres(url),
        dataset_name="public",
    )
    resource = dlt.resource(
        appointments,
        name="appointments",
        primary_key="appointment_id",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        columns={each: {"data_type": "timestamp"} for each in TIMES},
    )
    # Its default, INSERT statements, is slower.
    timed(lambda: pipeline.run(resource, loader_file_format="csv").raise_on_failed_jobs())


if __name__ == "__main__":
    main()
