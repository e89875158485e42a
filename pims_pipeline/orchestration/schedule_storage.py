"""Dagster's storage of sensors and schedules, without repeated lookups of its tables.

``storage`` puts it beside the storages of runs and events.
"""

from dagster_postgres import PostgresScheduleStorage
from sqlalchemy import Connection

from pims_pipeline.orchestration._dagster_private import ConfigurableClassData


class RememberingScheduleStorage(PostgresScheduleStorage):
    """A schedule storage that looks for the table of sensors until it is there."""

    def __init__(
        self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None
    ) -> None:
        self._has_instigators = False
        # The storage that it is a part of has made the tables.
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)

    # The public method opens a connection, and then asks this one, as storing a state does.
    def _has_instigators_table(self, conn: Connection) -> bool:
        self._has_instigators = self._has_instigators or super()._has_instigators_table(conn)
        return self._has_instigators

    def has_instigators_table(self) -> bool:
        """Whether the table exists."""
        return self._has_instigators or super().has_instigators_table()
