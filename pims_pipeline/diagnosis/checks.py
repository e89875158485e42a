"""The checks of ``pims doctor``, in the order of its table.

Add a check as a function in the module of its subject, here, and to docs/doctor.md. The settings
are checked first and apart, because without them there is nothing else to look at
(``environment``).
"""

from pims_pipeline.diagnosis.checking import DoctorCheck
from pims_pipeline.diagnosis.dagster import check_dagster, check_dagster_storage
from pims_pipeline.diagnosis.database import check_api, check_database, check_migrations
from pims_pipeline.diagnosis.disk import check_disk
from pims_pipeline.diagnosis.environment import SETTINGS
from pims_pipeline.diagnosis.keys import check_keys
from pims_pipeline.diagnosis.vendors import check_logins, check_vendors
from pims_pipeline.domain.diagnosis.findings import CheckReport, DoctorFinding

_DATABASE_HANGS = (
    "the database, or a pooler before it, accepts connections and does not respond: restart it, or "
    "look for what keeps it busy (pg_stat_activity)"
)

CHECKS = (
    DoctorCheck(
        name="database",
        about="version, rights, clock, latency and pooler of the database",
        run=check_database,
        hung=_DATABASE_HANGS,
        seconds=20,
        needs_database=False,
    ),
    DoctorCheck(
        name="migrations",
        about="whether the tables are this program's",
        run=check_migrations,
        hung=_DATABASE_HANGS,
        seconds=20,
        after=("database",),
    ),
    DoctorCheck(
        name="api",
        about="whether the API's login finds the tables, and may do no more than it should",
        run=check_api,
        hung=_DATABASE_HANGS,
        seconds=20,
        needs_database=False,
    ),
    DoctorCheck(
        name="keys",
        about="whether the encryption keys decrypt what is stored",
        run=check_keys,
        hung=_DATABASE_HANGS,
        seconds=30,
        after=("database", "migrations"),
    ),
    DoctorCheck(
        name="browser",
        about="whether the browser starts, if a clinic's provider logs in with one",
        run=check_logins,
        hung="see whether the machine is overloaded, and whether Chromium starts by hand",
        seconds=60,
        after=("database", "migrations"),
    ),
    DoctorCheck(
        name="vendors",
        about="whether the vendors' hosts can be reached, without a login",
        run=check_vendors,
        hung="look at DNS, firewall and proxy of this host",
        seconds=30,
        after=("database", "migrations"),
    ),
    DoctorCheck(
        name="storage",
        about="whether Dagster's storage can be reached, with sessions of its own",
        run=check_dagster_storage,
        hung="restart the database of DAGSTER_POSTGRES_URL, or the pooler before it",
        seconds=30,
        after=("database",),
        needs_database=False,
    ),
    DoctorCheck(
        name="dagster",
        about="Dagster's webserver, code location and daemon",
        run=check_dagster,
        hung="restart Dagster's webserver, or the database of DAGSTER_POSTGRES_URL",
        seconds=30,
        after=("storage",),
        needs_database=False,
    ),
    DoctorCheck(
        name="disk",
        about="whether home and artifacts can be written, and the room that is left",
        run=check_disk,
        hung="the disk of PIMS_HOME does not respond: look at its mount",
        seconds=10,
        needs_database=False,
    ),
)
"""Each behind the ones that it needs."""

NAMES = (SETTINGS, *(check.name for check in CHECKS))
"""The names of all checks."""


def unchecked(names: tuple[str, ...]) -> tuple[CheckReport, ...]:
    """The reports of checks that wait for correct settings."""
    why = DoctorFinding.skipped(f"not checked: it needs {SETTINGS}")
    return tuple(CheckReport(name=name, findings=(why,)) for name in names)
