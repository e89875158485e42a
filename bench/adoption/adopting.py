"""Adopting a clinic with 100,000 cases from a v4.0 installation: time, and memory beyond the start.

The installation is the one of the tests, with a patient for each case. Prints a dry run, the
adoption, and a second one that finds nothing new. Run with ``python bench/adoption/adopting.py``.
"""

import argparse
import resource
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time

from sqlalchemy import Engine

from pims_pipeline.adoption.importing import AdoptionRequest, adopt
from pims_pipeline.adoption.inspection import inspect_installation
from pims_pipeline.domain.adoption.clinics import ClinicAnswers
from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.adoption.planted import SCHEMAS, V4Installation, keys

CASES = 100_000


def peak_megabytes() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(engine: Engine, schema: str, label: str, *, dry_run: bool) -> None:
    """Adopt the clinic, and print what it took."""
    request = AdoptionRequest(
        schema=schema,
        clinic="riverbend",
        answers=ClinicAnswers(base_url="https://pims.example"),
        dry_run=dry_run,
    )
    before, began, cpu = peak_megabytes(), perf_counter(), process_time()
    result = adopt(
        engine,
        request,
        vault=Vault(bytes(32)),
        password_of=keys,
        progress=lambda _done, _total: None,
    )
    print(
        f"{label}: {perf_counter() - began:.1f} s, {process_time() - cpu:.1f} CPU seconds here, "
        f"{peak_megabytes() - before:.0f} MB more; {result.cases.imported} cases imported"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--layout", choices=list(Layout), type=Layout, default=Layout.DEPLOYED)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pims") as home:
        url = start_embedded(Path(home))
        engine = create_engine(url)
        migrate(engine)
        with V4Installation(url, given.layout) as theirs:
            clinic = theirs.clinic()
            theirs.login(clinic)
            theirs.many_cases(clinic, given.cases, datetime(2024, 1, 1, tzinfo=UTC))
        began = perf_counter()
        found = inspect_installation(engine, SCHEMAS[given.layout])
        print(f"inspected: {perf_counter() - began:.1f} s; {found.clinics[0].importable} cases")
        measure(engine, SCHEMAS[given.layout], "dry run", dry_run=True)
        measure(engine, SCHEMAS[given.layout], "adopted", dry_run=False)
        measure(engine, SCHEMAS[given.layout], "again", dry_run=False)
        engine.dispose()
        stop_embedded(Path(home))


if __name__ == "__main__":
    main()
