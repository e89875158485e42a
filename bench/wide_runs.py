"""200 clinics due at the same tick, inbound of 8 days each, through Dagster's daemon.

The daemon ticks the sensor, queues the runs and launches a process for each. Measured are the
daemon, code server, runs and database, not the simulator. Prints CPU seconds per clinic and wall
time, from the tick until the last run has ended:

- with stored sessions, the usual case: 50 clinics a run, and one clinic a run to compare;
- without, when a browser logs each clinic in first.

Target: 2 CPU seconds per clinic, wide and with sessions.
Run with ``python bench/wide_runs.py``; it takes some minutes.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import httpx2
from support.fleet import ZONE, Fleet, fleet, wait

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.orchestration.run_scope import UNFINISHED
from pims_pipeline.providers.idexx_neo.session import (
    NeoSession,
    SessionCookie,
    account_of,
    exported,
    session_end,
)
from pims_pipeline.providers.port import Credentials
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import mark_credentials
from pims_pipeline.store.secrets.sessions import put_session

CLINICS = 200
FEW = 20
NEVER = dict.fromkeys(Phase, "off")


def log_in(world: Fleet, clinics: list[Clinic]) -> None:
    """Send the login form for each clinic, without a browser, and store the session."""
    for clinic in clinics:
        company = str(2000 + int(clinic.slug.removeprefix("clinic-")))
        password = f"demo-{company}"
        login = {"company_id": company, "username": "demo", "password": password}
        with httpx2.Client(base_url=clinic.provider_base_url, trust_env=False) as client:
            page = client.get("/login").text
            token = re.search(r'data-token="([^"]+)"', page)
            assert token is not None
            assert client.post("/login", data={**login, "csrf_token": token[1]}).is_redirect
            host = httpx2.URL(clinic.provider_base_url).host
            cookies = tuple(
                SessionCookie(each.name, each.value or "", domain=each.domain or host)
                for each in client.cookies.jar
            )
        credentials = Credentials(username="demo", password=password, company_id=company)
        state = exported(
            NeoSession(
                account=account_of(clinic.provider_base_url, credentials),
                base_url=clinic.provider_base_url,
                cookies=cookies,
                expires_at=session_end(cookies, datetime.now(UTC)),
            )
        )
        with transaction(world.engine) as connection:
            put_session(connection, world.vault, clinic, state.data, state.expires_at)
            mark_credentials(connection, clinic, CredentialStatus.VALID)


def measure(world: Fleet, label: str, clinics: list[Clinic], **settings: str) -> None:
    """Make the clinics due, and print the cost until the last run has ended."""
    known = {run.run_id for run in world.instance.get_runs()}

    def runs() -> list[dg.DagsterRun]:
        return [run for run in world.instance.get_runs() if run.run_id not in known]

    def all_ended() -> bool:
        found = runs()
        return bool(found) and not any(run.status in UNFINISHED for run in found)

    with world.daemon(**settings):
        local = datetime.now(ZoneInfo(ZONE)).replace(second=0, microsecond=0)
        tick = local + timedelta(minutes=2)
        cron = {Phase.INBOUND: f"{tick.minute} {tick.hour} * * *"}
        world.plan(clinics, ScheduleConfig(sync_schedules={**NEVER, **cron}))
        wait(lambda: datetime.now(UTC) >= tick, "the tick")
        before = world.meter.read()
        wait(all_ended, "the runs")
        used = world.meter.read().since(before)
    world.plan(clinics, ScheduleConfig(sync_schedules=NEVER))
    found = runs()
    records = world.instance.get_run_records(
        filters=dg.RunsFilter(run_ids=[run.run_id for run in found])
    )
    began = min(record.start_time or 0 for record in records)
    ended = max(record.end_time or 0 for record in records)
    failed = [run.run_id for run in found if run.status is not dg.DagsterRunStatus.SUCCESS]
    assert not failed, failed
    print(
        f"{label}: {len(clinics)} clinics in {len(found)} runs\n"
        f"  {used.total / len(clinics):.2f} CPU s per clinic (Dagster and the sync "
        f"{used.dagster / len(clinics):.2f}, PostgreSQL {used.postgres / len(clinics):.2f}, "
        f"browsers {used.browsers / len(clinics):.2f})\n"
        f"  {ended - tick.timestamp():.0f} s from the tick to the end, "
        f"{ended - began:.0f} s of them at work",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    with fleet(CLINICS) as world:
        for clinic in world.clinics:
            world.plan([clinic], ScheduleConfig(sync_schedules=NEVER))
        few = world.clinics[-FEW:]
        # The first sync inserts every appointment; later ones are the usual case.
        log_in(world, world.clinics[:-FEW])
        measure(world, "without sessions, first sync", few)
        log_in(world, few)
        measure(world, "first sync", world.clinics)
        measure(world, "usual sync", world.clinics)
        measure(world, "usual sync, one clinic a run", few, PIMS_CLINICS_PER_RUN="1")


if __name__ == "__main__":
    main()
