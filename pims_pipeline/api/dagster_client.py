"""A client of the GraphQL API of Dagster's webserver: launches runs and reads their states.

Plain HTTP, without Dagster's own client: its import costs seconds, and its timeout is five
minutes. Recording a launch belongs in ``syncs.launching``, the status of a sync in
``syncs.status``; the GraphQL documents and their responses are in ``dagster_queries``.

    DagsterUnreachable    it cannot be reached: nothing was done
    └─ NoResponse           the request was sent, and its outcome is unknown
    DagsterRefused        it responded, and did not do what was requested
"""

import ipaddress
import time
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
from pydantic import BaseModel

from pims_pipeline.api.dagster_queries import (
    CHECK,
    FIND,
    LAUNCH,
    STEPS,
    CodeLocation,
    Launched,
    Runs,
)
from pims_pipeline.api.monitoring.dagster_state import STATE_QUERY, DagsterState, StateResponse
from pims_pipeline.dagster_names import (
    ACTIVE_STATUSES,
    ALERTS_SENSOR,
    CLINIC_PARTITIONS,
    LOCATION,
    REPOSITORY,
    SYNC_ID_TAG,
    WAITING_STATUSES,
    range_tags,
)
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import JOB_OF, Scope
from pims_pipeline.providers.http.client import (
    RequestTimedOut,
    ResponseTooLarge,
    open_client,
    send,
)
from pims_pipeline.providers.stop_signal import StopSignal

LAUNCH_SECONDS = 30
"""The timeout of a launch."""
SEARCH_SECONDS = 5
"""How long to search for a run whose launch got no response."""
_SEARCH_INTERVAL_SECONDS = 0.5
_QUERY_SECONDS = 10
_CONNECT_SECONDS = 3

_REPOSITORY = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}
_NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
RunConfig = Mapping[str, Mapping[str, Mapping[str, Mapping[str, int | str]]]]
"""The configuration of a run, as in the launchpad of the Dagster UI."""


class DagsterUnreachable(UserFacingError):
    """Dagster's webserver cannot be reached."""


_NO_RESPONSE = "see its log, or fix DAGSTER_GRAPHQL_URL if it is not the address of the Dagster UI"


class NoResponse(DagsterUnreachable):
    """The request was sent, and whether Dagster executed it is unknown."""


class DagsterRefused(UserFacingError):
    """Dagster responded, and did not do what was requested."""


class RunState(Enum):
    """The state of a run."""

    CREATED = "created"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    GONE = "gone"
    """Dagster has no such run, or has deleted it."""

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self not in {RunState.CREATED, RunState.QUEUED, RunState.RUNNING}


_STATES = {
    "NOT_STARTED": RunState.CREATED,
    "QUEUED": RunState.QUEUED,
    "SUCCESS": RunState.SUCCEEDED,
    "FAILURE": RunState.FAILED,
    "CANCELED": RunState.CANCELED,
}
"""By Dagster's status; every other status is of an active run."""


_Data = TypeVar("_Data", bound=BaseModel)


class DagsterClient:
    """A client of Dagster's webserver; thread-safe. Call ``close`` at the end.

    Every method raises ``DagsterUnreachable`` without a response, and ``DagsterRefused`` when
    the response is an error.
    """

    def __init__(self, url: str) -> None:
        """Create the client; opens no connection.

        Args:
            url: The address of the Dagster UI, or its ``/graphql``. May contain a user and a
                password, which are never shown.
        """
        self._url = url.rstrip("/").removesuffix("/graphql") + "/graphql"
        self._http = open_client(
            timeout=httpx2.Timeout(_QUERY_SECONDS, connect=_CONNECT_SECONDS),
            # A server on this machine needs none of the environment's proxies.
            trust_env=not _is_loopback(urlsplit(self._url).hostname or ""),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def launch(
        self,
        scope: Scope,
        slug: str,
        window: DateRange,
        *,
        tags: Mapping[str, str],
        config: RunConfig,
    ) -> str:
        """Start a run over the clinic's partitions of a window; return the run's id.

        Args:
            scope: The job to run.
            slug: The clinic; its partition is added if it is missing.
            window: The business dates.
            tags: Tags of the run. ``SYNC_ID_TAG`` must be one: it finds the run when the
                launch gets no response.
            config: The run's configuration.

        Raises:
            NoResponse: If the run may have been started and cannot be found yet.
            DagsterUnreachable: If it was not started.
            DagsterRefused: If Dagster did not start it.
        """
        run: Json = {
            "selector": {**_REPOSITORY, "jobName": JOB_OF[scope]},
            "runConfigData": config,
            "executionMetadata": {"tags": _pairs({**tags, **range_tags((slug, slug), window)})},
        }
        variables: Json = {
            "repository": _REPOSITORY,
            "partitions": CLINIC_PARTITIONS,
            "slug": slug,
            "run": run,
        }
        try:
            return self._launched(variables)
        except NoResponse:
            found = self._search(UUID(tags[SYNC_ID_TAG]))
            if found is None:
                raise
            return found

    def _launched(self, variables: Json) -> str:
        launch = self._query(LAUNCH, variables, Launched, seconds=LAUNCH_SECONDS).launch
        if launch.run is not None:
            return launch.run.id
        if launch.kind == "PythonError":
            # It may have failed after it created the run.
            raise NoResponse("Dagster failed while it started the run; see its log")
        raise DagsterRefused(f"Dagster did not start the run ({launch.kind})")

    def _search(self, sync_id: UUID) -> str | None:
        """Search for the run with that tag until it is found or time is up."""
        deadline = time.monotonic() + SEARCH_SECONDS
        while True:
            try:
                found = self.run_of_sync(sync_id)
            except (DagsterUnreachable, DagsterRefused):
                found = None
            left = deadline - time.monotonic()
            if found is not None or left <= 0:
                return found
            time.sleep(min(_SEARCH_INTERVAL_SECONDS, left))

    def run_of_sync(self, sync_id: UUID) -> str | None:
        """Return the id of the run that was started for the sync, if there is one."""
        wanted: Json = {"tags": _pairs({SYNC_ID_TAG: str(sync_id)})}
        # Newest first: later runs are re-executions of the first.
        runs = self._query(FIND, {"filter": wanted}, Runs).runs.results
        return runs[-1].id if runs else None

    def run_states(self, run_ids: Collection[str]) -> dict[str, RunState]:
        """Return the states of these runs, by id."""
        wanted: Json = {"runIds": list(run_ids)}
        runs = self._query(FIND, {"filter": wanted}, Runs).runs.results
        states = {run.id: _STATES.get(run.status, RunState.RUNNING) for run in runs}
        return {run_id: states.get(run_id, RunState.GONE) for run_id in run_ids}

    def failed_steps(self, run_id: str) -> list[str]:
        """Return the names of the run's failed steps: assets and their checks."""
        wanted: Json = {"runIds": [run_id]}
        runs = self._query(STEPS, {"filter": wanted}, Runs).runs.results
        return [step.key for run in runs for step in run.steps if step.status == "FAILURE"]

    def state(self) -> DagsterState:
        """Return the counts of its runs, of all clinics, and the daemon's last heartbeat."""
        variables: Json = {
            "queued": {"statuses": WAITING_STATUSES},
            "running": {"statuses": ACTIVE_STATUSES},
            "alerts": {**_REPOSITORY, "sensorName": ALERTS_SENSOR},
        }
        return self._query(STATE_QUERY, variables, StateResponse).state()

    def check(self) -> None:
        """Check that runs can be launched: Dagster responds and has loaded our code location.

        Raises:
            DagsterUnreachable: If it does not respond.
            DagsterRefused: If the code location is not loaded.
        """
        entry = self._query(CHECK, {"location": LOCATION}, CodeLocation).entry
        kind = entry.content.kind if entry and entry.content else "not loaded"
        if kind != "RepositoryLocation":
            raise DagsterRefused(f"Dagster has not loaded the code location ({kind})")

    def _query(
        self,
        query: str,
        variables: Json,
        shape: type[_Data],
        *,
        seconds: float | None = None,
    ) -> _Data:
        """Return the data of the response, validated as ``shape``."""
        seconds = _QUERY_SECONDS if seconds is None else seconds
        request = self._http.build_request(
            "POST",
            self._url,
            json={"query": query, "variables": variables},
            timeout=httpx2.Timeout(seconds, connect=_CONNECT_SECONDS),
        )
        try:
            response = send(self._http, request, stop=StopSignal(), seconds=seconds)
        except _NOTHING_SENT as error:
            raise DagsterUnreachable(
                f"Dagster cannot be reached ({type(error).__name__}); start it with `pims up`, "
                "or fix DAGSTER_GRAPHQL_URL"
            ) from None
        except (httpx2.TransportError, RequestTimedOut, ResponseTooLarge) as error:
            raise NoResponse(
                f"Dagster did not respond ({type(error).__name__}); {_NO_RESPONSE}"
            ) from None
        if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise NoResponse(
                f"Dagster did not respond (status {response.status_code}); {_NO_RESPONSE}"
            )
        if response.status_code != httpx2.codes.OK:
            raise DagsterRefused(
                f"Dagster refused the request (status {response.status_code}); fix "
                "DAGSTER_GRAPHQL_URL if it is not the address of the Dagster UI"
            )
        try:
            return shape.model_validate(response.json()["data"])
        except (ValueError, TypeError, KeyError, RecursionError):
            # Their messages would quote the response.
            raise NoResponse(
                f"the response is not Dagster's, or Dagster failed; {_NO_RESPONSE}"
            ) from None


def _pairs(tags: Mapping[str, str]) -> Json:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
