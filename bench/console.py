"""Pages of the console over 2,000 clinics, 600,000 syncs of 14 days and 600,000 cases.

Targets: the overview in 1 s, a case with 5,000 changes in 0.5 s. The application is called in this
process and connects as the API does; the network and the browser are not counted. Run with
``python bench/console.py``; filling the database takes minutes.
"""

import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import UUID

from httpx2 import Response
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.cli.console_runs import ConsoleRuns
from pims_pipeline.console.app import mount_console
from pims_pipeline.console.context import ConsoleContext
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.operations.operators.accounts import create_operator
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded

CLINICS, SYNCS_PER_CLINIC, CASES_PER_CLINIC, CHANGES = 2_000, 300, 300, 5_000
TRIES = 5
ADDRESS = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"  # noqa: S105 - of a database that lives for minutes
LONGEST = UUID(int=1)
FIRST_DAY = date(2025, 1, 1)

_SYNCS = f"""
    INSERT INTO case_sync_audits (
        id, clinic_id, sync_type, status, window_start, window_end, run_id, owner,
        created_at, updated_at, duration_ms, appointments_found, cases_created, cases_updated)
    SELECT gen_random_uuid(), clinic.id,
        (ARRAY['inbound', 'cases', 'reconciliation'])[1 + number % 3], 'completed',
        current_date, current_date + 7, gen_random_uuid()::text, 1,
        at, at + interval '4 seconds', 4000, 40, number % 3, number % 5
    FROM clinics AS clinic, generate_series(1, {SYNCS_PER_CLINIC}) AS number,
        LATERAL (SELECT now() - number * interval '14 days' / {SYNCS_PER_CLINIC + 1} AS at) AS t
"""  # noqa: S608 - fixed text
_CASES = f"""
    INSERT INTO cases (
        id, clinic_id, provider_type, pims_id, patient_name, client_name, client_phone,
        scheduled_date, scheduled_start, scheduled_end)
    SELECT CASE WHEN clinic.slug = 'clinic-0000' AND number = 1 THEN :longest
            ELSE gen_random_uuid() END,
        clinic.id, 'idexx_neo', 'A-' || number,
        'Patient' || number % 97,
        'First' || number % 89 || ' Last' || abs(hashtext(clinic.slug || number)) % 5000,
        '+1 555 ' || lpad((abs(hashtext(clinic.slug || number)) % 10000000)::text, 7, '0'),
        current_date - number % 90, now(), now()
    FROM clinics AS clinic, generate_series(1, {CASES_PER_CLINIC}) AS number
"""  # noqa: S608 - fixed text
_CHANGES = f"""
    INSERT INTO case_events (
        clinic_id, case_id, audit_id, run_id, partition_key, kind, changes, occurred_at)
    SELECT audit.clinic_id, :longest, audit.id, audit.run_id, 'clinic-0000|' || current_date,
        'updated',
        jsonb_build_object('client_name', jsonb_build_array('before', 'after' || number)),
        audit.created_at
    FROM generate_series(1, {CHANGES}) AS number
    JOIN LATERAL (
        SELECT case_sync_audits.* FROM case_sync_audits
        JOIN clinics ON clinics.id = clinic_id
        WHERE slug = 'clinic-0000' OFFSET number % {SYNCS_PER_CLINIC} LIMIT 1
    ) AS audit ON true
"""  # noqa: S608 - fixed text


def fill(engine: Engine) -> None:
    """Add the clinics, their syncs and cases, and one case with a long history."""
    with transaction(engine) as connection:
        added = [
            add_clinic(
                connection,
                slug=f"clinic-{number:04}",
                name=f"Clinic {number}",
                timezone="America/New_York",
                provider_type="idexx_neo",
                provider_base_url="https://pims.example",
            )
            for number in range(CLINICS)
        ]
    for statement in (_SYNCS, _CASES, _CHANGES):
        began = perf_counter()
        with transaction(engine) as connection:
            lock_clinic(connection, added[0].id)
            rows = connection.execute(text(statement), {"longest": LONGEST}).rowcount
        print(f"  {rows} rows in {perf_counter() - began:.0f} s", flush=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


@contextmanager
def signed_in(engine: Engine) -> Iterator[TestClient]:
    """A browser in which an administrator of all clinics is signed in."""
    create_operator(engine, "ann", password=PASSWORD, role=OperatorRole.ADMIN)
    api_engine = create_engine(let_api_log_in(engine), pool_size=2)
    with closing(DagsterClient("http://127.0.0.1:9")) as dagster:
        app = create_app(
            ApiContext(
                engine=api_engine,
                dagster=dagster,
                dagster_ui_url="http://dagster.example",
                partition_start=FIRST_DAY,
                requests_per_minute=1000,
            )
        )
        context = ConsoleContext(
            engine=api_engine,
            dagster_ui_url="http://dagster.example",
            runs=ConsoleRuns(dagster),
            partition_start=FIRST_DAY,
        )
        mount_console(app, context)
        browser = TestClient(app, base_url=ADDRESS, headers={"Origin": ADDRESS})
        browser.post("/console/sign-in", data={"name": "ann", "password": PASSWORD})
        yield browser
    api_engine.dispose()


def measure(label: str, load: Callable[[], Response]) -> None:
    """Print the first, the median and the slowest time of a page."""
    times, sizes = [], []
    for _ in range(TRIES):
        began = perf_counter()
        response = load()
        times.append(perf_counter() - began)
        sizes.append(len(response.content))
        assert response.status_code == 200, (label, response.status_code)
    print(
        f"  {label}: first {times[0]:.2f} s, median {median(times):.2f} s, "
        f"slowest {max(times):.2f} s, {max(sizes) // 1024} KiB",
        flush=True,
    )


def main() -> None:
    """Fill, measure and print."""
    print(f"load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory(prefix="pims-bench") as home:
        engine = create_engine(start_embedded(Path(home)))
        try:
            migrate(engine)
            fill(engine)
            print(f"load {os.getloadavg()[0]:.1f} before the pages")
            with signed_in(engine) as browser:
                # As ``pims serve`` does.
                gc.collect()
                gc.freeze()
                measure("overview", lambda: browser.get("/console/"))
                measure("clinic", lambda: browser.get("/console/clinics/clinic-0001"))
                measure(
                    f"case with {CHANGES} changes", lambda: browser.get(f"/console/cases/{LONGEST}")
                )
                token = browser.get("/console/").text.split('name="form_token" value="')[1][:64]
                for words in ("last42 patient7", "first", "5551234", "a-17", "A-299"):
                    sent = {"text": words, "form_token": token}
                    search = partial(browser.post, "/console/search", data=sent)
                    measure(f"search for {words!r}", search)
        finally:
            engine.dispose()
            stop_embedded(Path(home))


if __name__ == "__main__":
    main()
