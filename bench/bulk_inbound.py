"""50,000 appointments of one clinic: plan and apply, without HTTP.

Prints the rows per second of the first sync, of unchanged ones and of one with few changes. On a
shared machine the CPU seconds say more: those of this process, and those of the database's
session that applies. Ends with this process's peak resident memory. Run with
``python bench/bulk_inbound.py``.
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

import psutil  # type: ignore[import-untyped]  # it carries no types
from sqlalchemy import Connection, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
    Proof,
    Snapshot,
)
from pims_pipeline.domain.records.words import DEFAULT_WORDS
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.audited import audited
from pims_pipeline.sync.phases.inbound import apply_listing
from pims_pipeline.sync.phases.listing import compared

ROWS = 50_000
DAYS = 250
CHANGED_EVERY = 100


def calendar(
    start: date, *, rows: int = ROWS, changed_every: int = 0
) -> tuple[PimsAppointment, ...]:
    """A year's appointments with fields as long as real ones; some with another status."""
    first = datetime(start.year, start.month, start.day, 14, tzinfo=UTC)
    return tuple(
        PimsAppointment(
            appointment_id=str(100_000 + number),
            consultation_id=str(700_000 + number),
            scheduled_start=(at := first + timedelta(days=number % DAYS, minutes=number // DAYS)),
            scheduled_end=at + timedelta(minutes=30),
            business_date=start + timedelta(days=number % DAYS),
            status="Ready to Pay" if changed_every and number % changed_every == 0 else "Finalized",
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
        for number in range(rows)
    )


@dataclass(frozen=True)
class Cost:
    """What one sync took, in seconds."""

    rows: int
    wall: float
    own_cpu: float
    server_cpu: float
    counts: Mapping[str, int]

    def __str__(self) -> str:
        return (
            f"{self.wall:.2f} s, {self.rows / self.wall:,.0f} rows/s; "
            f"CPU: {self.own_cpu:.2f} s here, {self.server_cpu:.2f} s in the database; "
            f"{self.counts}"
        )


def sync(context: SyncContext, clinic: Clinic, snapshot: Snapshot) -> Cost:
    """Plan and apply the snapshot."""
    began, own = perf_counter(), process_time()
    server = 0.0
    with audited(context, clinic, Phase.INBOUND, snapshot.window) as phase:

        def apply(connection: Connection) -> PhaseOutcome:
            nonlocal server
            session = psutil.Process(
                connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            )
            before = sum(session.cpu_times()[:2])
            listing = compared(connection, clinic, snapshot, DEFAULT_WORDS)
            plan = apply_listing(connection, phase, listing, DEFAULT_WORDS)
            server = sum(session.cpu_times()[:2]) - before
            return phase.finish(connection, by_date=plan.by_date, fetched_at=snapshot.fetched_at)

        outcome = phase.apply(apply)
    return Cost(
        rows=len(snapshot.appointments),
        wall=perf_counter() - began,
        own_cpu=process_time() - own,
        server_cpu=server,
        counts=outcome.counts.nonzero(),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    rows: int = parser.parse_args().rows
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
            for label in ("insert", "unchanged", "unchanged again", "one in a hundred changed"):
                changed_every = CHANGED_EVERY if label == "one in a hundred changed" else 0
                snapshot = Snapshot(
                    window=window,
                    appointments=calendar(start, rows=rows, changed_every=changed_every),
                    fetched_at=datetime.now(UTC),
                    proof=Proof.ONE_RESPONSE,
                )
                print(f"{label}: {sync(context, clinic, snapshot)}")
        engine.dispose()
        stop_embedded(Path(home))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak resident memory: {peak:.0f} MB")


if __name__ == "__main__":
    main()
