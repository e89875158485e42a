"""From a request to a run: recorded, launched, told of; once per idempotency key.

The order makes every stop on the way one that can be recovered from: the request is recorded
first, the run carries its id as a tag, and what is recorded last is the run. No transaction is
open while Dagster is spoken to. How a sync stands is told by ``standing``; the wire's shapes
are in ``schemas``.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
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
from pims_pipeline.domain.clinics import Clinic, DateRange, business_date, last_syncable_date
from pims_pipeline.domain.moments import WrongClock, age_of
from pims_pipeline.domain.phases import TYPE_OF, Phase, Scope
from pims_pipeline.domain.requests import RequestStatus
from pims_pipeline.domain.schedules import ScheduleConfig
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
from pims_pipeline.sync.windows import chosen_window, default_window

DAGSTER_RETRY_SECONDS = 5
LOOK_FOR_RUN = timedelta(seconds=2)
"""After so long, a launch is looked for at Dagster's: whoever did it may have died."""
CLOCK_IS_WRONG = "The clocks of the server and its database disagree; no sync can be started"
OTHER_SECONDS = 30
"""How long one request waits for another one's launch under the same key."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a client asks to be synced.

    Attributes:
        first: The first business date, if the client names one.
        last: The last one, also.
        options: What else it chose or left to be chosen, by the API's names.
    """

    scope: Scope
    first: date | None = None
    last: date | None = None
    options: Mapping[str, int] = field(default_factory=dict)

    @property
    def reach(self) -> ScheduleConfig:
        """How far it looks back and ahead; a client's defaults are not the clinic's own."""
        usual = ScheduleConfig()
        return ScheduleConfig(
            days_ahead=self.options.get("daysAhead", usual.days_ahead),
            lookback_days=self.options.get("lookbackDays", usual.lookback_days),
        )

    @property
    def digest(self) -> str:
        """The same for requests that ask for the same: SHA-256 of method, path and body."""
        body = {"startDate": self.first, "endDate": self.last, **self.options}
        text = json.dumps(["POST", f"/api/sync/{self.scope}", body], default=str, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Launched(NamedTuple):
    """A request with its run, and whether it was answered before."""

    request: SyncRequest
    is_replay: bool


class SyncLauncher:
    """Has syncs started; one for each application.

    Args:
        context: The application's.
        room: For those who wait for each other.
    """

    def __init__(self, context: ApiContext, room: WaitingRoom) -> None:
        self._context = context
        self._room = room

    def start(self, caller: Caller, wanted: Wanted, key: str | None) -> Launched:
        """Have the sync's run started, or find the one that the key stands for.

        Raises:
            ApiError: 400 when the dates cannot be synced, 409 when another request with the
                key is still being launched, 422 when the key stands for something else, 503
                when Dagster starts nothing.
        """
        self._check_clock()
        named = None if key is None else IdempotencyKey(key, wanted.digest)
        while True:
            recorded, clinic = self._record(caller, wanted, named)
            if recorded.is_new:
                return Launched(self._launch(recorded.request, clinic), is_replay=False)
            known = self._when_launched(recorded.request)
            if known is not None:
                return Launched(known, is_replay=True)
            # Whoever was launching it gave up, and its record is gone: now it is our turn.

    def _check_clock(self) -> None:
        """Make sure that the request is not dated by a wrong clock.

        Raises:
            ApiError: 503.
        """
        try:
            check_clock(self._context.engine)
        except WrongClock as error:
            log.error("clock_is_wrong", problem=str(error))  # noqa: TRY400 - its place is known
            raise ApiError(503, CLOCK_IS_WRONG) from error

    def _record(
        self, caller: Caller, wanted: Wanted, key: IdempotencyKey | None
    ) -> tuple[Recorded, Clinic]:
        context, now = self._context, self._context.clock()
        with clinic_transaction(context.engine, caller.clinic_id) as connection:
            clinic = clinic_by_id(connection, caller.clinic_id)
            request = SyncRequest(
                id=uuid4(),
                clinic_id=clinic.id,
                api_key_id=caller.key_id,
                scope=wanted.scope,
                window=_window(clinic, wanted, now=now, start=context.partition_start),
                options=wanted.options,
                created_at=now,
            )
            try:
                return record_request(connection, request, key), clinic
            except KeyReused as error:
                raise ApiError(422, KEY_REUSED) from error

    def _launch(self, request: SyncRequest, clinic: Clinic) -> SyncRequest:
        """Start the recorded request's run; nothing stays recorded if that fails for sure.

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
            # It took so long that another request with its key gave it up. The run will be
            # found by its audits.
            raise ApiError(503, "The sync was given up", {"Retry-After": "1"})
        return launched

    def _when_launched(self, request: SyncRequest) -> SyncRequest | None:
        """The request, once its run is known; None when it was removed.

        Raises:
            ApiError: 409 when that takes too long, 503 when Dagster cannot be asked.
        """
        known: SyncRequest | None = request
        with self._room.place() as has_room:
            for _ in self._room.looks(OTHER_SECONDS if has_room else 0):
                if known is not None and known.status is RequestStatus.LAUNCHING:
                    known = self._refreshed(known)
                if known is None or known.status is RequestStatus.LAUNCHED:
                    return known
        raise ApiError(409, BEING_STARTED, {"Retry-After": str(DAGSTER_RETRY_SECONDS)})

    def _refreshed(self, request: SyncRequest) -> SyncRequest | None:
        """The request as it stands; None when it was removed, or is given up here.

        Raises:
            ApiError: 503 when Dagster cannot be asked.
        """
        with clinic_transaction(self._context.engine, request.clinic_id) as connection:
            known = find_request(connection, request.id)
        if known is None or known.status is RequestStatus.LAUNCHED:
            return known
        age = age_of(known.created_at, self._context.clock())
        if age < LOOK_FOR_RUN:
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

    Whoever launched it died before it could, or is about to do the same.
    """
    log.info("sync_adopted", sync_id=str(sync_id), run_id=run_id)
    return _record_run(context, clinic_id, sync_id, run_id)


def _record_run(
    context: ApiContext, clinic_id: UUID, sync_id: UUID, run_id: str
) -> SyncRequest | None:
    with clinic_transaction(context.engine, clinic_id) as connection:
        return record_launch(connection, sync_id, run_id, context.clock())


def _window(clinic: Clinic, wanted: Wanted, *, now: datetime, start: date) -> DateRange:
    """The business dates to sync.

    Raises:
        ApiError: 400, naming the field, when they cannot be.
    """
    end = last_syncable_date(now.date())
    for name, day in (("startDate", wanted.first), ("endDate", wanted.last)):
        if day is not None and not start <= day <= end:
            raise ApiError(400, f"{name}: must be a date from {start} to {end}")
    today = business_date(now, clinic.zone)
    default = default_window(wanted.scope, today, wanted.reach, earliest=start)
    try:
        return chosen_window(wanted.scope, default, wanted.first, wanted.last)
    except ValueError as error:
        raise ApiError(400, _about_dates(error, default, wanted)) from error


def _about_dates(error: ValueError, default: DateRange, wanted: Wanted) -> str:
    """What is wrong with the dates, beginning with the field that is to be fixed."""
    if wanted.last is None and wanted.first and wanted.first > default.end:
        return f"endDate: must be given when startDate is later than {default.end}"
    if wanted.first is None and wanted.last and wanted.last < default.start:
        return f"startDate: must be given when endDate is earlier than {default.start}"
    if wanted.first and wanted.last and wanted.last < wanted.first:
        return "endDate: must not be earlier than startDate"
    return f"{'endDate' if wanted.last else 'startDate'}: {error}"


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
    words = NOT_KNOWN if isinstance(error, NoResponse) else NOT_STARTED
    return ApiError(503, words, {"Retry-After": str(DAGSTER_RETRY_SECONDS)})
