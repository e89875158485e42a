"""Comparing an adopted clinic with 10,000 cases to its v4.0 installation: time and memory.

The cases lie within the dates that are compared; a hundred of them differ. Run with
``python bench/adoption/comparing.py``.
"""

import argparse
import resource
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

from pims_pipeline.adoption.comparison import compare_and_keep
from pims_pipeline.adoption.importing import AdoptionRequest, adopt
from pims_pipeline.domain.adoption.clinics import ClinicAnswers
from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.adoption.planted import SCHEMAS, V4Installation, keys

CASES = 10_000
TEN_MINUTES = timedelta(minutes=10)
DIFFERING = 100


def peak_megabytes() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--layout", choices=list(Layout), type=Layout, default=Layout.DEPLOYED)
    given = parser.parse_args()
    now = datetime.now(UTC)
    first = now - given.cases * TEN_MINUTES / 2
    with tempfile.TemporaryDirectory(prefix="pims") as home:
        url = start_embedded(Path(home))
        engine = create_engine(url)
        migrate(engine)
        with V4Installation(url, given.layout) as theirs:
            clinic = theirs.clinic()
            theirs.login(clinic)
            theirs.many_cases(clinic, given.cases, first)
            request = AdoptionRequest(
                schema=SCHEMAS[given.layout],
                clinic="riverbend",
                answers=ClinicAnswers(base_url="https://pims.example"),
            )
            adopt(
                engine,
                request,
                vault=Vault(bytes(32)),
                password_of=keys,
                progress=lambda _done, _total: None,
            )
            theirs.run(
                "UPDATE cases SET status = 'completed' WHERE id IN "
                "(SELECT id FROM cases ORDER BY id LIMIT %s)",
                DIFFERING,
            )
        window = DateRange(first.date(), (first + given.cases * TEN_MINUTES).date())
        for label in ("first", "again"):
            before, began, cpu = peak_megabytes(), perf_counter(), process_time()
            found = compare_and_keep(
                engine,
                "riverbend",
                now,
                lambda _: window,
            )
            print(
                f"{label}: {perf_counter() - began:.2f} s, {process_time() - cpu:.2f} CPU seconds "
                f"here, {peak_megabytes() - before:.0f} MB more; {found.counts.compared} compared, "
                f"{len(found.differences)} differ"
            )
        engine.dispose()
        stop_embedded(Path(home))


if __name__ == "__main__":
    main()
