"""The rows that Dagster derives from the events of asset checks; ``event_log`` stores the events.

A run's plan adds a row for each check, which the check's evaluation completes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from sqlalchemy import Connection, insert, text

from pims_pipeline.orchestration._dagster_private import AssetCheckExecutionsTable, CheckStatus


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event with its row, and the row's id."""

    id: int
    event: dg.EventLogEntry
    row: dict[str, Any]

    @property
    def kind(self) -> str | None:
        """The type of Dagster's events; None for a line that was logged."""
        kind: str | None = self.row["dagster_event_type"]
        return kind

    @property
    def asset_key(self) -> str | None:
        """The asset, as Dagster's tables name it."""
        key: str | None = self.row["asset_key"]
        return key


def write_checks(connection: Connection, stored: Sequence[LoggedEvent]) -> None:
    """Write which checks are planned, and what checks have found."""
    planned = [row for each in stored for row in _planned_rows(each)]
    found = [row for each in stored for row in _found_rows(each)]
    of_runs = [row for row in found if row["run_id"]]
    missing = _not_completed(connection, of_runs) if of_runs else []
    if new := [*planned, *missing, *(row for row in found if not row["run_id"])]:
        connection.execute(insert(AssetCheckExecutionsTable), new)


def _planned_rows(stored: LoggedEvent) -> list[dict[str, Any]]:
    if stored.kind != dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value:
        return []
    planned = stored.event.get_dagster_event().asset_check_planned_data
    subset = planned.partitions_subset
    row = {
        "asset_key": planned.asset_key.to_string(),
        "check_name": planned.check_name,
        "execution_status": CheckStatus.PLANNED.value,
        "materialization_event_storage_id": None,
        **_of_event(stored),
    }
    return [
        {**row, "partition": key} for key in (subset.get_partition_keys() if subset else [None])
    ]


def _found_rows(stored: LoggedEvent) -> list[dict[str, Any]]:
    if stored.kind != dg.DagsterEventType.ASSET_CHECK_EVALUATION.value:
        return []
    found = stored.event.get_dagster_event().asset_check_evaluation_data
    target = found.target_materialization_data
    status = CheckStatus.SUCCEEDED if found.passed else CheckStatus.FAILED
    row = {
        "asset_key": found.asset_key.to_string(),
        "check_name": found.check_name,
        "execution_status": status.value,
        "materialization_event_storage_id": target.storage_id if target else None,
        "partition": found.partition,
        **_of_event(stored),
    }
    return [row]


def _of_event(stored: LoggedEvent) -> dict[str, Any]:
    return {
        "run_id": stored.event.run_id,
        "evaluation_event": stored.row["event"],
        "evaluation_event_timestamp": stored.row["timestamp"],
        "evaluation_event_storage_id": stored.id,
    }


_TYPES = {
    "run_id": "text",
    "asset_key": "text",
    "check_name": "text",
    "partition": "text",
    "execution_status": "text",
    "evaluation_event": "text",
    "evaluation_event_timestamp": "timestamp",
    "evaluation_event_storage_id": "bigint",
    "materialization_event_storage_id": "bigint",
}
_ARRAYS = ", ".join(f"CAST(:{name} AS {type_}[])" for name, type_ in _TYPES.items())
_COMPLETE = text(
    f"""
    UPDATE asset_check_executions AS planned
    SET execution_status = found.execution_status,
        evaluation_event = found.evaluation_event,
        evaluation_event_timestamp = found.evaluation_event_timestamp,
        evaluation_event_storage_id = found.evaluation_event_storage_id,
        materialization_event_storage_id = found.materialization_event_storage_id
    FROM unnest({_ARRAYS}) AS found ({", ".join(_TYPES)})
    WHERE planned.run_id = found.run_id
      AND planned.asset_key = found.asset_key
      AND planned.check_name = found.check_name
      AND planned.partition IS NOT DISTINCT FROM found.partition
    RETURNING found.evaluation_event_storage_id
    """  # noqa: S608 - the names above
)


def _not_completed(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Complete the rows of checks that were planned; return those of checks that were not."""
    columns = {name: [row[name] for row in rows] for name in _TYPES}
    completed = set(connection.scalars(_COMPLETE, columns))
    return [row for row in rows if row["evaluation_event_storage_id"] not in completed]
