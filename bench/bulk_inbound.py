"""50,000 appointments of one clinic: plan and apply, without HTTP.

Prints the rows per second of the first sync and of unchanged ones, and the peak resident memory
of this process. Run with ``python bench/bulk_inbound.py``.
"""

import resource
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.appointments import Client, Patient, PimsAppointment, Snapshot
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.audited import audited
from pims_pipeline.sync.phases.inbound import apply_snapshot
from pims_pipeline.sync.phases.listing import known_of

ROWS = 50_000
DAYS = 250


def calendar(start: date) -> tuple[PimsAppointment, ...]:
    """A year's appointments with fields as long as real ones."""
    first = datetime(start.year, start.month, start.day, 14, tzinfo=UTC)
    return tuple(
        PimsAppointment(
            appointment_id=str(100_000 + number),
            consultation_id=str(700_000 + number),
            scheduled_start=(at := first + timedelta(days=number % DAYS, minutes=number // DAYS)),
            scheduled_end=at + timedelta(minutes=30),
            business_date=start + timedelta(days=number % DAYS),
            status="Finalized",
            appointment_type="Exam and vaccines",
            patient=Patient(id=str(number), name=f"Patient {number}"),
            client=Client(
                id=str(number),
                name=f"Client Number {number}",
                phone="555-0100",
                email=f"client{number}@example.test",
            ),
            provider="Dr. Example",
            room="Room 2",
            reason="Annual examination and vaccination",
            vendor_updated_at=at,
        )
        for number in range(ROWS)
    )


def sync(context: SyncContext, clinic: Clinic, snapshot: Snapshot) -> float:
    """Seconds that planning and applying the snapshot took."""
    began = perf_counter()
    with audited(context, clinic, Phase.INBOUND, snapshot.window) as phase:

        def apply(connection: Connection) -> PhaseOutcome:
            known = known_of(connection, clinic, snapshot)
            plan = apply_snapshot(connection, phase, snapshot, known)
            return phase.finish(connection, by_date=plan.by_date, fetched_at=snapshot.fetched_at)

        phase.apply(apply)
    return perf_counter() - began


def main() -> None:
    """Measure and print."""
    start = date(2026, 1, 1)
    window = DateRange(start, start + timedelta(days=DAYS - 1))
    with tempfile.TemporaryDirectory(prefix="pims") as home:
        url = start_embedded(Path(home))
        engine = create_engine(url)
        migrate(engine)
        with transaction(engine) as connection:
            clinic = add_clinic(
                connection,
                slug="bulk",
                name="Bulk",
                timezone="America/New_York",
                provider_type="idexx_neo",
                provider_base_url="http://localhost",
            )
        with run_liveness(engine) as liveness:
            context = SyncContext(
                engine=engine,
                vault=Vault(bytes(32)),
                open_provider=lambda _: sys.exit("this benchmark has no provider"),
                run_id="bench",
                liveness=liveness,
            )
            for label in ("insert", "unchanged", "unchanged again"):
                snapshot = Snapshot(
                    window=window, appointments=calendar(start), fetched_at=datetime.now(UTC)
                )
                seconds = sync(context, clinic, snapshot)
                print(f"{label}: {seconds:.2f} s, {ROWS / seconds:,.0f} rows/s")
        engine.dispose()
        stop_embedded(Path(home))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak resident memory: {peak:.0f} MB")


if __name__ == "__main__":
    main()
