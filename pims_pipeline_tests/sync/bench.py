"""A clinic, its vendor in memory, a clock that tests set, and the context of the phases."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, Row, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.records.resources import ResourceFilter
from pims_pipeline.providers.port import PimsProvider
from pims_pipeline.store.clinics import clinic_by_slug, set_resources
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.enrichment import enrich_cases
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.phases.reconciliation import reconcile_cases
from pims_pipeline.sync.session import clinic_session
from pims_pipeline_tests.providers.fake import FakeProvider, FakeVendor

# In the future: sessions expire by the database's own clock.
NOW = datetime(2076, 3, 20, 18, 0, tzinfo=UTC)
DAY = date(2076, 3, 20)
WINDOW = DateRange(date(2076, 3, 13), date(2076, 3, 27))


@dataclass
class Clock:
    """A clock that advances by a millisecond with each reading, so that no two are equal."""

    moment: datetime = NOW

    def __call__(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment

    def forward(self, **by: float) -> None:
        self.moment += timedelta(**by)


@dataclass
class Bench:
    """A clinic with its vendor and database, and short names for what tests of phases do."""

    engine: Engine
    clinic: Clinic
    vendor: FakeVendor
    clock: Clock
    context: SyncContext
    providers: list[PimsProvider] = field(default_factory=list)

    def in_run(self, run_id: str) -> "Bench":
        return replace(self, context=replace(self.context, run_id=run_id))

    def inbound(self, window: DateRange = WINDOW) -> PhaseOutcome:
        with clinic_session(self.context, self.clinic) as session:
            return sync_appointments(self.context, self.clinic, window, session)

    def enrich(self, window: DateRange = WINDOW, workers: int = 3) -> PhaseOutcome:
        with clinic_session(self.context, self.clinic) as session:
            return enrich_cases(self.context, self.clinic, window, session, workers=workers)

    def reconcile(self, window: DateRange = WINDOW) -> PhaseOutcome:
        with clinic_session(self.context, self.clinic) as session:
            return reconcile_cases(self.context, self.clinic, window, session)

    def syncing(self, resources: ResourceFilter) -> "Bench":
        """The bench after an operator chose which resources are synced."""
        with transaction(self.engine) as connection:
            set_resources(connection, self.clinic, resources)
            return replace(self, clinic=clinic_by_slug(connection, self.clinic.slug))

    def rows(self, statement: str, **parameters: object) -> list[Row[tuple[object, ...]]]:
        with transaction(self.engine) as connection:
            return list(connection.execute(text(statement), parameters).all())

    def run(self, statement: str, **parameters: object) -> None:
        with transaction(self.engine) as connection:
            connection.execute(text(statement), parameters)

    def case(self, pims_id: str) -> Row[tuple[object, ...]]:
        (row,) = self.rows(
            "SELECT *, metadata #>> '{reconciliation,softDeleted}' AS gone FROM cases "
            "WHERE pims_id = :pims_id",
            pims_id=pims_id,
        )
        return row

    def events(self, pims_id: str) -> list[str]:
        return [
            str(row.kind)
            for row in self.rows(
                "SELECT e.kind FROM case_events e JOIN cases c ON c.id = e.case_id "
                "WHERE c.pims_id = :pims_id ORDER BY e.seq",
                pims_id=pims_id,
            )
        ]

    def everything(self) -> dict[str, list[Row[tuple[object, ...]]]]:
        """All that a sync may change, except the times at which appointments were seen."""
        return {
            "cases": self.rows("SELECT * FROM cases ORDER BY id"),
            "events": self.rows("SELECT * FROM case_events ORDER BY seq"),
            "landed": self.rows(
                "SELECT pims_id, digest, payload, fetched_at, missing_since, removed_at "
                "FROM pims_appointments ORDER BY pims_id"
            ),
            "holds": self.rows("SELECT * FROM reconciliation_holds ORDER BY created_at"),
            "failures": self.rows("SELECT * FROM sync_failures ORDER BY record_key"),
        }


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vendor(clinic: Clinic, clock: Clock) -> FakeVendor:
    return FakeVendor(clinic.zone, clock=clock)


@pytest.fixture
def bench(
    engine: Engine, vault: Vault, clinic: Clinic, vendor: FakeVendor, clock: Clock
) -> Iterator[Bench]:
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, vendor.credentials.to_mapping())
    with run_liveness(engine) as liveness:
        yield Bench(
            engine=engine,
            clinic=clinic,
            vendor=vendor,
            clock=clock,
            context=SyncContext(
                engine=engine,
                vault=vault,
                open_provider=lambda _: FakeProvider(vendor),
                run_id="run-1",
                liveness=liveness,
                clock=clock,
            ),
        )


def local(day: date, hour: int, minute: int = 0) -> datetime:
    """A naive wall-clock time."""
    return datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001 - a wall clock has no zone
