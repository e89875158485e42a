"""A clinic of these tests, and reads of its rows."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, LiteralString

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.simulator.practice.clinics import SimulatedClinic
from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.vendors.at_vendor import AtVendor

FOREVER = datetime(2200, 1, 1, tzinfo=UTC)
RETIRED = "coalesce(metadata #>> '{reconciliation,softDeleted}' = 'true', false)"
"""An SQL expression: whether a case is soft-deleted."""


@dataclass
class ClinicState:
    """A clinic, its vendor's company and its rows.

    Attributes:
        at: The vendor.
        today: The clinic's date when the test begins.
        window: The week that is synced.
        wide: Every day on which an appointment may ever be booked.
        step_began: The start of the latest step, which may hold several syncs and edits.
    """

    servers: SharedServers
    at: AtVendor
    company: SimulatedClinic
    clinic: Clinic
    today: date
    window: DateRange
    wide: DateRange
    step_began: datetime = FOREVER

    def rows(self, statement: LiteralString, **parameters: object) -> list[Any]:
        """Rows of a query, as named tuples; ``%(clinic_id)s`` is this clinic's id."""
        given = {"clinic_id": self.clinic.id, **parameters}
        return self.servers.observer.execute(statement, given).fetchall()

    def cases(self) -> dict[str, Any]:
        """Every case, by the id of its appointment."""
        rows = self.rows(
            f"SELECT *, {RETIRED} AS retired "  # noqa: S608 - fixed expression
            "FROM cases WHERE clinic_id = %(clinic_id)s ORDER BY id"
        )
        return {str(row.pims_id): row for row in rows}

    def holds(self) -> list[Any]:
        """The open holds, oldest first."""
        return self.rows(
            "SELECT id, window_start, window_end FROM reconciliation_holds "
            "WHERE clinic_id = %(clinic_id)s AND status = 'open' ORDER BY created_at"
        )

    def missing(self) -> list[str]:
        """The appointments that left the calendar, as far as the pipeline knows."""
        rows = self.rows(
            "SELECT pims_id FROM pims_appointments WHERE clinic_id = %(clinic_id)s "
            "AND missing_since IS NOT NULL AND removed_at IS NULL ORDER BY pims_id"
        )
        return [row.pims_id for row in rows]

    def events_of_last_sync(self) -> list[Any]:
        """What the newest phase changed."""
        return self.rows(
            "SELECT * FROM case_events WHERE audit_id = (SELECT id FROM case_sync_audits "
            "WHERE clinic_id = %(clinic_id)s ORDER BY created_at DESC LIMIT 1)"
        )

    def date_registration(self) -> None:
        """Date what operators last changed by the clock of these tests, not by the database's."""
        for table in ("clinics WHERE id", "pims_credentials WHERE clinic_id"):
            name, _, column = table.partition(" WHERE ")
            self.servers.observer.execute(
                f"UPDATE {name} SET updated_at = %(now)s WHERE {column} = %(clinic_id)s",  # noqa: S608 - fixed names
                {"now": self.servers.clock(), "clinic_id": self.clinic.id},
            )

    def everything(self) -> dict[str, list[Any]]:
        """The rows that a sync may change, without the times at which appointments were seen."""
        queries = {
            "cases": "SELECT * FROM cases WHERE clinic_id = %(clinic_id)s ORDER BY id",
            "events": "SELECT * FROM case_events WHERE clinic_id = %(clinic_id)s ORDER BY seq",
            "landed": "SELECT pims_id, digest, fetched_at, missing_since, removed_at "
            "FROM pims_appointments WHERE clinic_id = %(clinic_id)s ORDER BY pims_id",
            "holds": "SELECT * FROM reconciliation_holds "
            "WHERE clinic_id = %(clinic_id)s ORDER BY id",
            "failures": "SELECT * FROM sync_failures WHERE clinic_id = %(clinic_id)s ORDER BY id",
        }
        return {name: self.rows(statement) for name, statement in queries.items()}
