"""The only module that imports Dagster's private names: what each is for, and what replaces it.

Check it first when upgrading Dagster. docs/dagster_private.md lists the same modules, and
``pims_pipeline_tests/test_repository.py`` fails when another module imports one. Add a name only
when no public API does the same, and note both things about it.

Imports at the top are loaded by ``import dagster`` anyway, or needed by every Dagster process. The
others take up to a second, so functions import them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetRecordsFilter,
    DagsterInstance,
    MetadataValue,
)

# For: naming the materialization that an evaluation of a check is about.
# Replaced by: a check's result that may name it.
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

# For: executing a run of definitions at hand, with the job's own executor.
# Replaced by: a public `execute_job` that takes a `JobDefinition` and a run with an origin.
from dagster._core.definitions.job_base import RepoBackedJob

# For: the type of what `define_asset_job` returns.
# Replaced by: that type, when `dagster` exports it.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

# For: as `RepoBackedJob`. Replaced by: the same.
from dagster._core.execution.api import execute_run

# For: redirecting a stream to a file.
# Replaced by: a public base class of compute log managers.
from dagster._core.execution.compute_logs import redirect_to_file

# For: the origin of a run, by which the Dagster UI and the daemon find its code.
# Replaced by: a public way to create a run for a job of a named code location.
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

# For: the rows that storing an event writes, and their statuses; see `event_log`.
# Replaced by: an event log that stores a batch of any events with a statement for each table.
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as CheckStatus,
)

# For: the compute log manager that `dagster.yaml` names. Replaced by: as `redirect_to_file`.
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType

# For: as `CheckStatus`. Replaced by: the same.
from dagster._core.storage.event_log.migration import ASSET_KEY_INDEX_COLS as ASSET_KEY_INDEX
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)

# For: as `RemoteJobOrigin`. Replaced by: the same.
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

# For: the type of an argument of the classes that `dagster.yaml` names.
# Replaced by: that type, when `dagster` exports it.
from dagster._serdes import ConfigurableClassData

if TYPE_CHECKING:
    from dagster._daemon.controller import DagsterDaemonController
    from dagster_postgres import DagsterPostgresStorage
    from sqlalchemy import Engine
    from starlette.types import ASGIApp

__all__ = [
    "ASSET_KEY_INDEX",
    "IO_TYPE_EXTENSION",
    "RUN_MODULES",
    "AssetCheckExecutionsTable",
    "AssetEventTagsTable",
    "CapturedLogContext",
    "CheckStatus",
    "ComputeIOType",
    "ConfigurableClassData",
    "DaemonThreads",
    "LoadableTargetOrigin",
    "LocalComputeLogManager",
    "ManagedGrpcPythonEnvCodeLocationOrigin",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "RepoBackedJob",
    "SqlEventLogStorageTable",
    "UnresolvedAssetJobDefinition",
    "add_partition_metadata",
    "daemon_threads",
    "execute_run",
    "has_backfill_to_launch",
    "latest_materialization",
    "ping_code_server",
    "redirect_to_file",
    "serve_code",
    "ui_application",
    "use_engine",
    "watch_code_server_every",
]

# For: importing what runs need, before they start.
# Replaced by: a code server of Dagster's that forks runs.
RUN_MODULES = (
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.storage.root",
    "dagster._grpc.impl",
)


def has_backfill_to_launch(instance: DagsterInstance) -> bool:
    """Whether a backfill may launch more runs."""
    # For: the filter and the states of backfills.
    # Replaced by: a public filter for `DagsterInstance.get_backfills`.
    from dagster._core.execution.backfill import (  # noqa: PLC0415 - costs 80 ms
        BulkActionsFilter,
        BulkActionStatus,
    )

    unfinished = [
        BulkActionStatus.REQUESTED,
        BulkActionStatus.CANCELING,
        BulkActionStatus.FAILING,
    ]
    return bool(instance.get_backfills(filters=BulkActionsFilter(statuses=unfinished), limit=1))


@contextmanager
def ui_application(instance: DagsterInstance, workspace: Path) -> Iterator["ASGIApp"]:
    """The Dagster UI's ASGI application, over the code locations that a file names."""
    # For: serving the UI inside our guard, without a port of its own.
    # Replaced by: a public function of `dagster_webserver` that returns its application.
    from dagster._core.workspace.context import (  # noqa: PLC0415 - costs a second
        WorkspaceProcessContext,
    )
    from dagster._core.workspace.load_target import WorkspaceFileTarget  # noqa: PLC0415 - as above
    from dagster_webserver.app import (  # noqa: PLC0415 - as above
        create_app_from_workspace_process_context,
    )

    target = WorkspaceFileTarget(paths=[str(workspace)])
    with WorkspaceProcessContext(instance, workspace_load_target=target) as context:
        yield create_app_from_workspace_process_context(context)


class DaemonThreads:
    """The threads of Dagster's daemon in this process."""

    def __init__(self, controller: "DagsterDaemonController") -> None:
        self._controller = controller

    def all_alive(self) -> bool:
        """Whether none has ended."""
        try:
            self._controller.check_daemon_threads()
        except Exception:  # noqa: BLE001 - Dagster raises no class of its own; it has logged it
            return False
        return True


@contextmanager
def daemon_threads(instance: DagsterInstance, workspace: Path) -> Iterator[DaemonThreads]:
    """Dagster's daemon in threads of this process, stopped after the block."""
    # For: the daemon in the process of the Dagster UI. `dagster-daemon` also reloads its workspace
    # every minute, which a code server that is watched makes unnecessary.
    # Replaced by: a public function that runs the daemon's threads.
    from dagster._core.workspace.load_target import WorkspaceFileTarget  # noqa: PLC0415 - as above
    from dagster._daemon.controller import (  # noqa: PLC0415 - as above
        daemon_controller_from_instance,
    )

    target = WorkspaceFileTarget(paths=[str(workspace)])
    with daemon_controller_from_instance(instance, target) as controller:
        try:
            yield DaemonThreads(controller)
        finally:
            for daemon in controller._daemons.values():  # noqa: SLF001 - as above
                _leave_evaluations(daemon)


def _leave_evaluations(daemon: object) -> None:
    """Let a daemon end without waiting for the sensors that its threads are evaluating.

    They wait for the code server, which may end later than the daemon. Idle threads end with the
    process.
    """
    stack = getattr(daemon, "_exit_stack", None)
    if stack is not None:
        # Its end would wait for them.
        stack.pop_all()


def watch_code_server_every(seconds: float) -> None:
    """Let UI and daemon ask so often whether their code server was replaced."""
    # For: fewer requests than one each second, which cost more than all else while nothing is due.
    # Replaced by: a setting of the workspace.
    import dagster._grpc.server_watcher as watcher  # noqa: PLC0415 - as above

    watcher.WATCH_INTERVAL = seconds  # type: ignore[assignment]  # a number, as its user


def ping_code_server(socket: Path) -> None:
    """Ping the code server at a Unix socket.

    Raises:
        Exception: If it does not respond.
    """
    # For: waiting until the code server is up, before its clients start.
    # Replaced by: a health check that needs no process, unlike `dagster api grpc-health-check`.
    from dagster._grpc.client import DagsterGrpcClient  # noqa: PLC0415 - costs time

    DagsterGrpcClient(socket=str(socket)).ping("")


def use_engine(storage: "DagsterPostgresStorage", engine: "Engine") -> None:
    """Make the storage's three parts use this engine."""
    # For: connections that a process keeps open.
    # Replaced by: a storage of `dagster_postgres` that takes an engine, or pools connections.
    for part in (storage._run_storage, storage._event_log_storage, storage._schedule_storage):  # noqa: SLF001 - as above
        part._engine = engine  # noqa: SLF001 - as above


def serve_code(
    arguments: Sequence[str], processes: BaseContext | None, *, on_end: Callable[[], None]
) -> None:
    """Serve a code location until a signal.

    Args:
        arguments: Those of ``dagster api grpc``.
        processes: Makes the processes of runs; None for Dagster's own.
        on_end: Called when it ends, before it waits for sensors that are being evaluated.
    """
    # For: choosing how the processes of runs are started, and ending what sensors wait for.
    # Replaced by: options of `dagster api grpc` that do.
    from dagster._cli.api import grpc_command  # noqa: PLC0415 - costs time, and only one needs it
    from dagster._grpc import server  # noqa: PLC0415 - as above

    class CodeServer(server.DagsterApiServer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._mp_ctx = processes or self._mp_ctx  # type: ignore[assignment]  # or another one

        def cleanup(self) -> None:
            on_end()
            super().cleanup()

    server.DagsterApiServer = CodeServer  # type: ignore[misc,assignment]  # the command takes it
    grpc_command.main(arguments, prog_name="dagster api grpc")


def add_partition_metadata(
    context: AssetExecutionContext,
    metadata: Iterable[tuple[str, Mapping[str, MetadataValue]]],
) -> None:
    """Add metadata to the materializations of the step's partitions.

    Args:
        context: Of an asset's step.
        metadata: The partitions' keys, all among the step's, and what to add to each.
    """
    # For: the same as `context.add_asset_metadata`, which lists the step's partitions for each
    # partition: of 400 partitions, that took half of a run's CPU.
    # Replaced by: an `add_asset_metadata` that lists them once.
    step = context.get_step_execution_context()
    collected = step._metadata_accumulator  # noqa: SLF001 - as above
    for key, of_partition in metadata:
        collected = collected.with_additional_asset_metadata(
            asset_key=context.asset_key, partition_key=key, metadata=of_partition
        )
    step._metadata_accumulator = collected  # noqa: SLF001 - as above


def latest_materialization(
    instance: DagsterInstance, asset: str
) -> AssetCheckEvaluationTargetMaterializationData | None:
    """Return the asset's newest materialization, for the evaluations of its checks."""
    only = AssetRecordsFilter(asset_key=AssetKey(asset))
    found = instance.fetch_materializations(only, limit=1).records
    if not found:
        return None
    record = found[0]
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
    )
