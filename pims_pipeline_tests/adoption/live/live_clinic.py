"""A clinic in mode ``live`` in a test: syncing, writing its application, reading both sides."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from pims_pipeline.adoption.application import (
    ApplicationReport,
    replan_application,
    write_application,
)
from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.store.adoptions import set_mode
from pims_pipeline.store.cases.application import LoggedWrite, logged_writes
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.adoption.planted import LOGIN, V4Installation
from pims_pipeline_tests.adoption.ways import adopted
from pims_pipeline_tests.providers.fake import FakeVendor
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local
from pims_pipeline_tests.sync.faults.two_days import full_sync

DAYS = list(WINDOW)


@dataclass
class LiveClinic:
    """An adopted clinic with its vendor, and both sides' rows."""

    engine: Engine
    theirs: V4Installation
    clinic: Clinic
    vendor: FakeVendor
    bench: Bench | None = None
    runs: int = 0

    def sync(self) -> Bench:
        """Run the three phases."""
        self.runs += 1
        self.bench = full_sync(self.engine, self.clinic, self.vendor, self.runs)
        return self.bench

    def write(self) -> ApplicationReport:
        """Write the application's cases, as the asset does after the phases."""
        assert self.bench is not None
        report = write_application(self.bench.context, self.clinic.slug, DAYS)
        assert report is not None
        return report

    def day(self) -> ApplicationReport:
        """Sync, and write."""
        self.sync()
        return self.write()

    def to_write(self) -> list[UUID] | None:
        """What a second write would write."""
        return replan_application(self.engine, self.clinic.slug, DAYS)

    def log(self) -> list[LoggedWrite]:
        with transaction(self.engine) as connection:
            return logged_writes(connection, self.clinic)

    def row(self, case_id: UUID) -> dict[str, Any]:
        """Their row of a case, with the patient's names."""
        columns = [
            name
            for (name,) in self.theirs.run(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'cases'::regclass "
                "AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            )
        ]
        ((*values,),) = self.theirs.run("SELECT * FROM cases WHERE id = %s", case_id)
        return dict(zip(columns, values, strict=True))

    def row_of(self, appointment_id: str) -> dict[str, Any]:
        """Their row of an appointment."""
        column = "external_id" if self.theirs.is_deployed else "pims_id"
        ((case_id,),) = self.theirs.run(
            f"SELECT id FROM cases WHERE {column} = %s",  # noqa: S608 - one of two names
            self.theirs.external_id(appointment_id),
        )
        return self.row(case_id)

    def set_mode(self, mode: AdoptionMode) -> None:
        with transaction(self.engine) as connection:
            set_mode(connection, self.clinic.id, mode)


def book_day(vendor: FakeVendor) -> None:
    """The planted appointments as the vendor has them; number 4 is paid by now."""
    for number in range(1, 8):
        vendor.book(str(number), local(DAY, 8 + number))
    vendor.set_status("4", "Paid")
    vendor.set_status("6", "Paid")


def live_clinic(engine: Engine, theirs: V4Installation, wanted: AdoptionRequest) -> LiveClinic:
    """Adopt the planted clinic and make it live, without a comparison."""
    clinic = adopted(engine, replace(wanted, schema=theirs.schema)).clinic
    vendor = FakeVendor(clinic.zone, credentials=neo_credentials(**LOGIN))
    book_day(vendor)
    live = LiveClinic(engine, theirs, clinic, vendor)
    live.set_mode(AdoptionMode.LIVE)
    return live
