"""Two days of a clinic's calendar, and syncs of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.appointments import Patient
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.leases import LeaseTerms
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.webhooks.endpoints import add_webhook
from pims_pipeline.sync.context import SyncContext
from pims_pipeline_tests.providers.fake import FakeProvider, FakeVendor
from pims_pipeline_tests.sync.bench import DAY, NOW, Bench, Clock, local

EXPIRES_AT_ONCE = LeaseTerms(lasts=0.001, renewed_every=3600)
"""The leases of a killed run expire at once; a running one keeps them until others take them."""


def first_day(vendor: FakeVendor) -> None:
    for number in range(6):
        vendor.book(str(number), local(DAY, 8 + number))
    vendor.record_appointment("0")
    vendor.record_appointment("5")


def second_day(vendor: FakeVendor) -> None:
    """One edit of each kind: move, deletion, booking, finished appointment, note, rebooking."""
    first_day(vendor)
    vendor.move("1", local(DAY + timedelta(days=2), 9))
    vendor.delete("2")
    vendor.book("new", local(DAY, 16))
    vendor.record_appointment("3")
    vendor.record_appointment("0", notes="corrected")
    vendor.set_status("0", "Paid")
    vendor.put(replace(vendor.appointments["5"], patient=Patient("200", "Bella")))


def full_sync(
    engine: Engine,
    clinic: Clinic,
    vendor: FakeVendor,
    run: int,
    begins: Callable[[Phase | None], None] = lambda _: None,
) -> Bench:
    clock = Clock(NOW + timedelta(hours=run))
    with run_liveness(engine, EXPIRES_AT_ONCE) as liveness:
        context = SyncContext(
            engine=engine,
            vault=Vault(bytes(32)),
            open_provider=lambda _: FakeProvider(vendor),
            run_id=f"run-{run}",
            liveness=liveness,
            clock=clock,
            login_terms=EXPIRES_AT_ONCE,
        )
        vendor.clock = clock
        bench = Bench(engine, clinic, vendor, clock, context)
        phases = (bench.inbound, bench.enrich, bench.reconcile)
        for phase, work in zip(Phase, phases, strict=True):
            begins(phase)
            work()
        begins(None)
    return bench


def outcome_of(bench: Bench) -> dict[str, object]:
    """The cases, their histories and what waits for the webhook, without ids of runs and times."""
    ours = bench.clinic.id
    return {
        "cases": bench.rows(
            "SELECT pims_id, patient_name, patient_species, scheduled_start, status, "
            "metadata #>> '{consultation,notes}', metadata #>> '{reconciliation,reason}' "
            "FROM cases WHERE clinic_id = :ours ORDER BY pims_id",
            ours=ours,
        ),
        "histories": bench.rows(
            "SELECT c.pims_id, e.kind, count(*) FROM case_events e "
            "JOIN cases c ON c.id = e.case_id WHERE c.clinic_id = :ours "
            "GROUP BY 1, 2 ORDER BY 1, 2",
            ours=ours,
        ),
        "outbox": bench.rows(
            "SELECT c.pims_id, e.kind, count(*) FROM webhook_deliveries d "
            "JOIN case_events e ON e.seq = d.seq JOIN cases c ON c.id = d.case_id "
            "WHERE d.clinic_id = :ours GROUP BY 1, 2 ORDER BY 1, 2",
            ours=ours,
        ),
    }


def clinic_after_first_day(engine: Engine, name: int | str) -> Clinic:
    """One more clinic, synced with the first day's calendar; it has a webhook."""
    with transaction(engine) as connection:
        clinic = add_clinic(
            connection,
            slug=f"clinic-{name}",
            name="Maple Street Veterinary",
            timezone="America/New_York",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
        vendor = FakeVendor(clinic.zone)
        put_credentials(connection, Vault(bytes(32)), clinic, vendor.credentials.to_mapping())
        add_webhook(
            connection, Vault(bytes(32)), clinic, "https://app.example/hooks", with_values=False
        )
    first_day(vendor)
    full_sync(engine, clinic, vendor, 1)
    return clinic


def sync_second_day(engine: Engine, clinic: Clinic, run: int) -> Bench:
    vendor = FakeVendor(clinic.zone)
    second_day(vendor)
    return full_sync(engine, clinic, vendor, run)
