"""Checks of the database: the server and its login, its pooler, and the tables."""

from collections.abc import Iterator

from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import DoctorFinding
from pims_pipeline.domain.moments import ClockReading
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.store.database.revision import check_migrated, newest_revision
from pims_pipeline.store.database.tenancy import CONSOLE_ROLE, check_api_role, has_console_role
from pims_pipeline.store.diagnosis.pooling import Pooling, pooling_of
from pims_pipeline.store.diagnosis.server import ServerFacts, server_facts

ROUND_TRIPS_OF_A_SYNC = 250
"""About as many as a warm full sync of one clinic makes, whatever its number of days. A test
compares it with what a sync is allowed."""
SLOW_SECONDS = 0.05
"""A median round trip that is worth a warning."""
_MOST_NAMED = 5


def check_database(installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
    """Version, rights, clock, latency, pooler."""
    if installation.no_database is not None:
        yield installation.no_database
        return
    engine = installation.database()
    facts = server_facts(engine)
    yield DoctorFinding.ok(f"PostgreSQL {facts.version}; no extension is needed")
    yield rights(facts)
    yield clock(facts.clock)
    yield latency(facts)
    yield pooler(pooling_of(engine))


def rights(facts: ServerFacts) -> DoctorFinding:
    """Whether the login may do what syncs do."""
    lacking = facts.missing_rights
    if not lacking:
        more = "" if facts.may_create else "; it may create no tables, which `pims migrate` needs"
        return DoctorFinding.ok(f"the login has the rights that syncs need{more}")
    shown = ", ".join(lacking[:_MOST_NAMED])
    more = f" and {len(lacking) - _MOST_NAMED} more" if len(lacking) > _MOST_NAMED else ""
    return DoctorFinding.failed(
        f"the login lacks rights to the tables {shown}{more}",
        "make it a member of pims_service, or as the owner of the tables run "
        "SELECT pims_grant_service()",
    )


def clock(reading: ClockReading) -> DoctorFinding:
    """Whether this host's clock agrees with the database's."""
    if reading.is_wrong:
        # It says what to do as well.
        return DoctorFinding.failed(reading.problem)
    apart = abs(reading.ahead).total_seconds()
    return DoctorFinding.ok(f"this host's clock is {apart:.1f} s from the database's")


def latency(facts: ServerFacts) -> DoctorFinding:
    """The round trip, and what it costs a sync."""
    waits = facts.latency_seconds * ROUND_TRIPS_OF_A_SYNC
    text = (
        f"a round trip takes {facts.latency_seconds * 1000:.1f} ms, so the sync of one clinic "
        f"waits about {waits:.1f} s for the database; connecting takes "
        f"{facts.connect_seconds * 1000:.0f} ms"
    )
    if facts.latency_seconds <= SLOW_SECONDS:
        return DoctorFinding.ok(text)
    return DoctorFinding.warning(text, "run the pipeline in the database's region")


def pooler(mode: Pooling) -> DoctorFinding:
    """Whether the pooler, if there is one, suits syncs; Dagster's storage has its own check."""
    if mode is Pooling.NONE:
        return DoctorFinding.ok("the connection is direct: no pooler")
    if mode is Pooling.SESSION:
        return DoctorFinding.ok(
            "a pooler that gives each client a connection of its own (session mode)"
        )
    if mode is Pooling.UNKNOWN:
        return DoctorFinding.warning(
            "a pooler that gave no second connection, so that its mode cannot be seen",
            "give it a pool of PIMS_DATABASE_POOL_SIZE connections for each process",
        )
    return DoctorFinding.ok("a pooler in transaction mode, which syncs work with")


def check_migrations(
    installation: CheckedInstallation, _stop: StopSignal
) -> Iterator[DoctorFinding]:
    """Whether the tables are this program's."""
    check_migrated(installation.database())
    yield DoctorFinding.ok(f"the tables are up to date ({newest_revision()})")


def check_api(installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
    """Whether the API's login finds the tables, and is restricted; a host may have it alone."""
    engine = installation.api_engine
    if engine is None:
        return
    check_migrated(engine)
    check_api_role(engine)
    yield DoctorFinding.ok("the API's login sees one clinic at a time, and no secrets")
    if not has_console_role(engine):
        yield DoctorFinding.warning(
            f"the API's login may not take the role {CONSOLE_ROLE}: the console shows no clinics",
            "see console_role_missing in docs/runbook.md",
        )
