"""One load of JSON lines with target-postgres: an upsert by key into one table, rows sent by COPY.

Runs in its own environment, as ``bench/peers.py`` starts it. The Singer messages are made before
the clock starts.
"""

import io
import json
import os
import sys
from pathlib import Path

from target_postgres.target import (  # type: ignore[import-not-found]  # in its own environment
    TargetPostgres,
)
from timing import TIMES, rows, timed

STREAM = "appointments"


def main() -> None:
    """Load the file that the only argument names."""
    appointments = rows(Path(sys.argv[1]))
    properties = {
        name: {"type": ["string", "null"], **({"format": "date-time"} if name in TIMES else {})}
        for name in appointments[0]
    }
    schema = {"type": "object", "properties": properties}
    messages: list[object] = [
        {"type": "SCHEMA", "stream": STREAM, "schema": schema, "key_properties": ["appointment_id"]}
    ]
    messages += [{"type": "RECORD", "stream": STREAM, "record": each} for each in appointments]
    lines = io.StringIO("".join(json.dumps(each) + "\n" for each in messages))
    target = TargetPostgres(
        config={
            "sqlalchemy_url": os.environ["PEER_DATABASE_URL"],
            "default_target_schema": "public",
            "activate_version": False,
            "add_record_metadata": False,
            # Its default, INSERT statements, is slower.
            "use_copy": True,
        }
    )
    timed(lambda: target.listen(lines))


if __name__ == "__main__":
    main()
