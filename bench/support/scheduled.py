"""Scheduled syncs of many clinics, from the tick to the end of the last run, with their cost.

Logging clinics in without a browser belongs here too: a stored session is the usual case.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import httpx2
from sqlalchemy import func, select
from support.fleet import ZONE, Fleet, Usage, company_of, wait

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.orchestration.run_scope import UNFINISHED
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.idexx_neo.session import (
    NeoSession,
    SessionCookie,
    account_of,
    exported,
    session_end,
)
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import mark_credentials
from pims_pipeline.store.secrets.sessions import put_session
from pims_pipeline.store.tables.syncs import case_sync_audits

NEVER = dict.fromkeys(Phase, "off")
_LOGINS_AT_ONCE = 8
_LONGEST_SECONDS = 900
_LONGEST_SECONDS_OF_A_CLINIC = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """What syncing clinics at one tick cost.

    Attributes:
        seconds: From the tick to the end of the last run.
        working_seconds: From the start of the first run to the end of the last one.
    """

    clinics: int
    runs: int
    used: Usage
    seconds: float
    working_seconds: float

    def a_clinic(self) -> str:
        """The CPU seconds of one clinic, as text."""
        used, number = self.used, self.clinics
        return (
            f"{used.total / number:.2f} CPU s per clinic (Dagster and the sync "
            f"{used.dagster / number:.2f}, PostgreSQL {used.postgres / number:.2f}, "
            f"browsers {used.browsers / number:.2f})"
        )


def log_in(world: Fleet, clinics: Sequence[Clinic]) -> None:
    """Send the login form for each clinic, without a browser, and store the session."""
    with ThreadPoolExecutor(_LOGINS_AT_ONCE) as pool:
        list(pool.map(lambda clinic: _log_in(world, clinic), clinics))


def _log_in(world: Fleet, clinic: Clinic) -> None:
    company = company_of(clinic)
    password = f"demo-{company}"
    login = {"company_id": company, "username": "demo", "password": password}
    with httpx2.Client(base_url=clinic.provider_base_url, trust_env=False, timeout=60) as client:
        page = client.get("/login").text
        token = re.search(r'data-token="([^"]+)"', page)
        assert token is not None
        assert client.post("/login", data={**login, "csrf_token": token[1]}).is_redirect
        host = httpx2.URL(clinic.provider_base_url).host
        cookies = tuple(
            SessionCookie(each.name, each.value or "", domain=each.domain or host)
            for each in client.cookies.jar
        )
    credentials = neo_credentials(username="demo", password=password, company_id=company)
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


def sync_at_next_tick(world: Fleet, clinics: Sequence[Clinic], **settings: str) -> Cost:
    """Make the clinics due, and wait until the last run has ended; every clinic must be synced."""
    known = {run.run_id for run in world.instance.get_runs()}

    def runs() -> list[dg.DagsterRun]:
        return [run for run in world.instance.get_runs() if run.run_id not in known]

    with world.daemon(**settings):
        local = datetime.now(ZoneInfo(ZONE)).replace(second=0, microsecond=0)
        tick = local + timedelta(minutes=2)
        cron = {Phase.INBOUND: f"{tick.minute} {tick.hour} * * *"}
        world.plan(clinics, ScheduleConfig(sync_schedules={**NEVER, **cron}))
        wait(lambda: datetime.now(UTC) >= tick, "the tick")
        before = world.meter.read()
        longest = max(_LONGEST_SECONDS, len(clinics) * _LONGEST_SECONDS_OF_A_CLINIC)
        wait(
            lambda: (
                synced(world, tick) >= len(clinics)
                or any(run.status is dg.DagsterRunStatus.FAILURE for run in runs())
            ),
            "the clinics",
            longest,
        )
        wait(lambda: not any(run.status in UNFINISHED for run in runs()), "the runs", longest)
        used = world.meter.read().since(before)
    world.plan(clinics, ScheduleConfig(sync_schedules=NEVER))
    found = runs()
    failed = [run.run_id for run in found if run.status is not dg.DagsterRunStatus.SUCCESS]
    assert not failed, failed
    records = world.instance.get_run_records(
        filters=dg.RunsFilter(run_ids=[run.run_id for run in found])
    )
    began = min(record.start_time or 0 for record in records)
    ended = max(record.end_time or 0 for record in records)
    return Cost(len(clinics), len(found), used, ended - tick.timestamp(), ended - began)


def synced(world: Fleet, since: datetime) -> int:
    """The number of clinics whose calendar was synced since then."""
    completed = select(func.count(case_sync_audits.c.clinic_id.distinct())).where(
        case_sync_audits.c.sync_type == Phase.INBOUND,
        case_sync_audits.c.status == AuditStatus.COMPLETED,
        case_sync_audits.c.created_at >= since,
    )
    with transaction(world.engine) as connection:
        number: int = connection.execute(completed).scalar_one()
        return number
