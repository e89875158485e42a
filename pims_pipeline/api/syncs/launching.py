"""Starts the run of a request, once per idempotency key.

The order makes a crash at any point recoverable: the request is recorded first, the run carries
its id as a tag, and the run's id is recorded last. No transaction is open during a request to
Dagster. What a client may request belongs in ``spec``, the status of a sync in ``status``.
"""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from pims_pipeline.api.access.caller import Caller
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import (
    DagsterRefused,
    DagsterUnreachable,
    NoResponse,
    RunConfig,
)
from pims_pipeline.api.errors import (
    BEING_STARTED,
    KEY_REUSED,
    NOT_KNOWN,
    NOT_STARTED,
    ApiError,
)
from pims_pipeline.api.syncs.spec import SyncSpec, window_of
from pims_pipeline.api.syncs.status import LAUNCH_TIMEOUT
from pims_pipeline.api.syncs.waiting import WaitingRoom
from pims_pipeline.dagster_names import (
    API_ORIGIN,
    KEY_ID_TAG,
    ORIGIN_TAG,
    PHASE_TAG,
    SYNC_ID_TAG,
    clinic_tags,
)
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.moments import WrongClock, age_of
from pims_pipeline.domain.phases import TYPE_OF, Phase
from pims_pipeline.domain.requests import RequestStatus
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.store.clinics import clinic_by_id
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.store.database.tenancy import clinic_transaction
from pims_pipeline.store.requests import (
    IdempotencyKey,
    KeyReused,
    Recorded,
    SyncRequest,
    find_request,
    record_launch,
    record_request,
    remove_unlaunched,
)

DAGSTER_RETRY_SECONDS = 5
RUN_SEARCH_DELAY = timedelta(seconds=2)
"""The age of a launch after which its run is searched for: its process may have died."""
CLOCK_IS_WRONG = "The clocks of the server and its database disagree; no sync can be started"
OTHER_LAUNCH_SECONDS = 30
"""How long a request waits for the launch of another one with the same key."""

log = get_logger(__name__)


class LaunchedSync(NamedTuple):
    """A request with its run; ``is_replay`` if an earlier request started it."""

    request: SyncRequest
    is_replay: bool


class SyncLauncher:
    """Starts syncs; one for each application.

    Args:
        context: The application's.
        room: The slots of waiting requests.
    """

    def __init__(self, context: ApiContext, room: WaitingRoom) -> None:
        self._context = context
        self._room = room

    def start(self, caller: Caller, spec: SyncSpec, key: str | None) -> LaunchedSync:
        """Start the run of a sync, or find the run of an earlier request with the same key.

        Raises:
            ApiError: 400 if the dates cannot be synced, 409 if another request with the key
                is still being launched, 422 if the key was used with a different request, 503
                if Dagster does not start the run.
        """
        self._check_clock()
        idempotency_key = None if key is None else IdempotencyKey(key, spec.digest)
        while True:
            recorded, clinic = self._record(caller, spec, idempotency_key)
            if recorded.is_new:
                return LaunchedSync(self._launch(recorded.request, clinic), is_replay=False)
            earlier = self._wait_for_launch(recorded.request)
            if earlier is not None:
                return LaunchedSync(earlier, is_replay=True)
            # The earlier launch failed and removed its record: launch it here.

    def _check_clock(self) -> None:
        """Check that this host's clock agrees with the database's.

        Raises:
            ApiError: 503.
        """
        try:
            check_clock(self._context.engine)
        except WrongClock as error:
            log.error("clock_is_wrong", problem=str(error))  # noqa: TRY400 - the traceback adds nothing
            raise ApiError(503, CLOCK_IS_WRONG) from error

    def _record(
        self, caller: Caller, spec: SyncSpec, key: IdempotencyKey | None
    ) -> tuple[Recorded, Clinic]:
        context, now = self._context, self._context.clock()
        with clinic_transaction(context.engine, caller.clinic_id) as connection:
            clinic = clinic_by_id(connection, caller.clinic_id)
            request = SyncRequest(
                id=uuid4(),
                clinic_id=clinic.id,
                api_key_id=caller.key_id,
                scope=spec.scope,
                window=window_of(spec, clinic, now=now, start=context.partition_start),
                options=spec.options,
                created_at=now,
            )
            try:
                return record_request(connection, request, key), clinic
            except KeyReused as error:
                raise ApiError(422, KEY_REUSED) from error

    def _launch(self, request: SyncRequest, clinic: Clinic) -> SyncRequest:
        """Start the run of a recorded request; remove the record if no run was started.

        Raises:
            ApiError: 503.
        """
        try:
            run_id = self._context.dagster.launch(
                request.scope,
                clinic.slug,
                request.window,
                tags=_tags(request, clinic),
                config=_config(request),
            )
        except (DagsterUnreachable, DagsterRefused) as error:
            log.warning(
                "launch_failed", sync_id=str(request.id), clinic=clinic.slug, reason=str(error)
            )
            if not isinstance(error, NoResponse):
                with clinic_transaction(self._context.engine, request.clinic_id) as connection:
                    remove_unlaunched(connection, request.id)
            raise _not_started(error) from error
        log.info("sync_launched", sync_id=str(request.id), clinic=clinic.slug, run_id=run_id)
        launched = _record_run(self._context, request.clinic_id, request.id, run_id)
        if launched is None:
            # Another request with the key abandoned this launch, because it took too long. The
            # run's audits show the sync.
            raise ApiError(503, "The sync was given up", {"Retry-After": "1"})
        return launched

    def _wait_for_launch(self, request: SyncRequest) -> SyncRequest | None:
        """Wait until the run of the request is known; None if the request was removed.

        Raises:
            ApiError: 409 if that takes too long, 503 if Dagster cannot be reached.
        """
        known: SyncRequest | None = request
        with self._room.place() as has_room:
            for _ in self._room.polls(OTHER_LAUNCH_SECONDS if has_room else 0):
                if known is not None and known.status is RequestStatus.LAUNCHING:
                    known = self._refreshed(known)
                if known is None or known.status is RequestStatus.LAUNCHED:
                    return known
        raise ApiError(409, BEING_STARTED, {"Retry-After": str(DAGSTER_RETRY_SECONDS)})

    def _refreshed(self, request: SyncRequest) -> SyncRequest | None:
        """Read the request again; None if it was removed, or is abandoned here.

        Raises:
            ApiError: 503 if Dagster cannot be reached.
        """
        with clinic_transaction(self._context.engine, request.clinic_id) as connection:
            known = find_request(connection, request.id)
        if known is None or known.status is RequestStatus.LAUNCHED:
            return known
        age = age_of(known.created_at, self._context.clock())
        if age < RUN_SEARCH_DELAY:
            return known
        try:
            run_id = self._context.dagster.run_of_sync(known.id)
        except (DagsterUnreachable, DagsterRefused) as error:
            raise _not_started(error) from error
        if run_id is not None:
            return adopt(self._context, known.clinic_id, known.id, run_id)
        if age < LAUNCH_TIMEOUT:
            return known
        with clinic_transaction(self._context.engine, known.clinic_id) as connection:
            remove_unlaunched(connection, known.id)
            return find_request(connection, known.id)


def adopt(context: ApiContext, clinic_id: UUID, sync_id: UUID, run_id: str) -> SyncRequest | None:
    """Record the run that was found by its tag; see ``record_launch``.

    The launching process died before it could record the run, or is about to record it.
    """
    log.info("sync_adopted", sync_id=str(sync_id), run_id=run_id)
    return _record_run(context, clinic_id, sync_id, run_id)


def _record_run(
    context: ApiContext, clinic_id: UUID, sync_id: UUID, run_id: str
) -> SyncRequest | None:
    with clinic_transaction(context.engine, clinic_id) as connection:
        return record_launch(connection, sync_id, run_id, context.clock())


def _tags(request: SyncRequest, clinic: Clinic) -> dict[str, str]:
    return {
        ORIGIN_TAG: API_ORIGIN,
        SYNC_ID_TAG: str(request.id),
        **clinic_tags([clinic.slug]),
        KEY_ID_TAG: str(request.api_key_id),
        PHASE_TAG: TYPE_OF[request.scope],
    }


def _config(request: SyncRequest) -> RunConfig:
    if "parallelBatchSize" not in request.options:
        return {}
    batch = {"parallel_batch_size": request.options["parallelBatchSize"]}
    return {"ops": {Phase.CASES.names.asset: {"config": batch}}}


def _not_started(error: DagsterUnreachable | DagsterRefused) -> ApiError:
    text = NOT_KNOWN if isinstance(error, NoResponse) else NOT_STARTED
    return ApiError(503, text, {"Retry-After": str(DAGSTER_RETRY_SECONDS)})
