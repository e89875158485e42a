"""What ``application_cases`` adds to a sync of 14 days × 40 appointments: first, and when warm.

The vendor is in memory, the v4.0 installation that of the tests. Prints the time of an inbound
phase, of the first write of the application, of a warm one with its check, and of the statement
that clinics cost that are not live. Run with ``python bench/adoption/application_cases.py``.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

from pims_pipeline.adoption.application import (
    live_clinics,
    replan_application,
    write_application,
)
from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.domain.adoption.clinics import ClinicAnswers
from pims_pipeline.domain.adoption.v4 import AdoptionMode, Layout
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.store.adoptions import set_mode
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline_tests.adoption.planted import LOGIN, SCHEMAS, V4Installation
from pims_pipeline_tests.adoption.ways import adopted
from pims_pipeline_tests.providers.fake import FakeVendor
from pims_pipeline_tests.sync.bench import DAY, local
from pims_pipeline_tests.sync.faults.two_days import full_sync

DAYS, APPOINTMENTS, ROUNDS = 14, 40, 7
WINDOW = DateRange(DAY - timedelta(days=7), DAY + timedelta(days=6))


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that the work takes."""
    began = perf_counter()
    work()
    return (perf_counter() - began) * 1000


def booked(vendor: FakeVendor) -> None:
    """Forty appointments on each day."""
    for day in WINDOW:
        for number in range(APPOINTMENTS):
            vendor.book(f"{day}-{number}", local(day, 8 + number // 4, 15 * (number % 4)))


def measure(url: str) -> None:
    """Adopt a clinic, make it live, and print what its syncs take."""
    engine = create_engine(url)
    migrate(engine)
    with V4Installation(url, Layout.DEPLOYED, SCHEMAS[Layout.DEPLOYED]) as theirs:
        clinic_id = theirs.clinic()
        theirs.login(clinic_id)
        theirs.schedule(clinic_id, {"inbound": "*/20 * * * *"})
        theirs.many_cases(clinic_id, 5_000, datetime(2075, 1, 1, tzinfo=UTC))
        answers = ClinicAnswers(base_url="https://pims.example")
        request = AdoptionRequest(schema=theirs.schema, clinic="riverbend", answers=answers)
        clinic = adopted(engine, request).clinic
        with transaction(engine) as connection:
            set_mode(connection, clinic.id, AdoptionMode.LIVE)
        vendor = FakeVendor(clinic.zone, credentials=neo_credentials(**LOGIN))
        booked(vendor)
        bench = full_sync(engine, clinic, vendor, 1)
        days = list(WINDOW)

        def write() -> object:
            return write_application(bench.context, clinic.slug, days)

        print(f"first write of {DAYS * APPOINTMENTS} rows: {timed(write):.0f} ms")
        figures: dict[str, Callable[[], object]] = {
            "warm inbound phase": lambda: bench.inbound(WINDOW),
            "warm write": write,
            "its check": lambda: replan_application(engine, clinic.slug, days),
            "not live": lambda: live_clinics(engine, ["another"]),
        }
        with run_liveness(engine) as liveness:
            bench.context = replace(bench.context, liveness=liveness)
            for label, work in figures.items():
                print(f"{label}: {median(timed(work) for _ in range(ROUNDS)):.1f} ms")
    engine.dispose()


def main() -> None:
    """Measure on a server of its own."""
    with tempfile.TemporaryDirectory(prefix="pims") as folder:
        data = Path(folder)
        try:
            measure(start_embedded(data))
        finally:
            stop_embedded(data)


if __name__ == "__main__":
    main()
