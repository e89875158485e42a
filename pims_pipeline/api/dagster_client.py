"""Speaking to Dagster: launching runs and asking how they stand, over its webserver's GraphQL.

Plain HTTP, without Dagster's own client: importing that costs seconds, and it waits five
minutes for an answer. What is recorded of a launch stands in ``launching``, what a run's
state means to a client of the API in ``standing``.

    DagsterUnreachable    it does not answer: nothing happened there
    └─ NoResponse           it was asked and did not say what came of it
    DagsterRefused        it answered, and did not do what was asked
"""

import ipaddress
import time
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
from pydantic import BaseModel, Field

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
"""How long a launch may take to be answered."""
SEARCH_SECONDS = 5
"""How long a run is looked for whose launch was not answered."""
_SEARCH_INTERVAL_SECONDS = 0.5
_ASK_SECONDS = 10
_CONNECT_SECONDS = 3

_REPOSITORY = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}
_NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
RunConfig = Mapping[str, Mapping[str, Mapping[str, Mapping[str, int]]]]
"""A run's own choices, as in the launchpad of the Dagster UI."""


class DagsterUnreachable(UserFacingError):
    """Dagster's webserver does not answer."""


class NoResponse(DagsterUnreachable):
    """It was asked, and whether it did what it was asked to do is not known."""


class DagsterRefused(UserFacingError):
    """Dagster answered, and did not do what was asked."""


class RunState(Enum):
    """How a run stands."""

    CREATED = "created"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    GONE = "gone"
    """Dagster knows nothing of it, any more."""

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
"""By Dagster's word; every other one is of a run that goes on."""


class _Named(BaseModel):
    """An answer, by the name of its type. Messages stay unread: they may quote anything."""

    kind: str = Field(alias="__typename")


class _RunId(BaseModel):
    id: str = Field(alias="runId")


class _Launch(_Named):
    run: _RunId | None = None


class _Launched(BaseModel):
    launch: _Launch = Field(alias="launchRun")


class _Step(BaseModel):
    key: str = Field(alias="stepKey")
    status: str | None


class _Run(BaseModel):
    id: str = Field(alias="runId")
    status: str
    steps: list[_Step] = Field(default=[], alias="stepStats")


class _Results(BaseModel):
    results: list[_Run]


class _Runs(BaseModel):
    runs: _Results = Field(alias="runsOrError")


class _Entry(BaseModel):
    content: _Named | None = Field(default=None, alias="locationOrLoadError")


class _Location(BaseModel):
    entry: _Entry | None = Field(alias="workspaceLocationEntryOrError")


# One request for both: mutations are done one after the other. It is no error that the
# clinic has partitions already.
_LAUNCH = """
mutation Launch(
  $repository: RepositorySelector!, $partitions: String!, $slug: String!, $run: ExecutionParams!
) {
  addDynamicPartition(
    repositorySelector: $repository, partitionsDefName: $partitions, partitionKey: $slug
  ) { __typename }
  launchRun(executionParams: $run) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
  }
}
"""

_FIND = """
query Find($filter: RunsFilter!) {
  runsOrError(filter: $filter) { ... on Runs { results { runId status } } }
}
"""

_STEPS = """
query Steps($filter: RunsFilter!) {
  runsOrError(filter: $filter) {
    ... on Runs { results { runId status stepStats { stepKey status } } }
  }
}
"""

_CHECK = """
query Check($location: String!) {
  workspaceLocationEntryOrError(name: $location) {
    ... on WorkspaceLocationEntry { locationOrLoadError { __typename } }
  }
}
"""

_Answer = TypeVar("_Answer", bound=BaseModel)


class DagsterClient:
    """Dagster's webserver, asked by any number of threads. Call ``close`` in the end.

    Every method raises ``DagsterUnreachable`` when no answer comes, and ``DagsterRefused``
    when the answer is not the one asked for.
    """

    def __init__(self, url: str) -> None:
        """Connect to nothing yet.

        Args:
            url: Where the Dagster UI begin, or their ``/graphql``. May carry a user and a
                password, which are never shown.
        """
        self._url = url.rstrip("/").removesuffix("/graphql") + "/graphql"
        self._http = open_client(
            timeout=httpx2.Timeout(_ASK_SECONDS, connect=_CONNECT_SECONDS),
            # Proxies of the environment do not concern a server on this machine.
            trust_env=not _is_loopback(urlsplit(self._url).hostname or ""),
        )

    def close(self) -> None:
        """Let go of the connections."""
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
        """Start a run over the clinic's partitions of a window; gives the run's id.

        Args:
            scope: Which of the jobs.
            slug: The clinic; its partitions are made if need be.
            window: The business dates.
            tags: Added to the run's; ``SYNC_ID_TAG`` among them, by which the run is found
                when the launch is not answered.
            config: The run's own choices.

        Raises:
            NoResponse: If the run may have been started and cannot be found, as yet.
            DagsterUnreachable: If it was not started.
            DagsterRefused: If it was not started either.
        """
        run: Json = {
            "selector": {**_REPOSITORY, "jobName": JOB_OF[scope]},
            "runConfigData": config,
            "executionMetadata": {"tags": _pairs({**tags, **range_tags((slug, slug), window)})},
        }
        asked: Json = {
            "repository": _REPOSITORY,
            "partitions": CLINIC_PARTITIONS,
            "slug": slug,
            "run": run,
        }
        try:
            return self._launched(asked)
        except NoResponse:
            found = self._search(UUID(tags[SYNC_ID_TAG]))
            if found is None:
                raise
            return found

    def _launched(self, asked: Json) -> str:
        launch = self._ask(_LAUNCH, asked, _Launched, seconds=LAUNCH_SECONDS).launch
        if launch.run is not None:
            return launch.run.id
        if launch.kind == "PythonError":
            # It broke on the way, perhaps after the run was made.
            raise NoResponse("Dagster broke while it started a run; its log tells why")
        raise DagsterRefused(f"Dagster does not start the run ({launch.kind})")

    def _search(self, sync_id: UUID) -> str | None:
        """The run with that tag, looked for until one can be found or time is up."""
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
        """The id of the run that was started for the sync, if there is one."""
        wanted: Json = {"tags": _pairs({SYNC_ID_TAG: str(sync_id)})}
        # Newest first: what comes later is that run, executed again by somebody.
        runs = self._ask(_FIND, {"filter": wanted}, _Runs).runs.results
        return runs[-1].id if runs else None

    def run_states(self, run_ids: Collection[str]) -> dict[str, RunState]:
        """How these runs stand, by id."""
        wanted: Json = {"runIds": list(run_ids)}
        runs = self._ask(_FIND, {"filter": wanted}, _Runs).runs.results
        told = {run.id: _STATES.get(run.status, RunState.RUNNING) for run in runs}
        return {run_id: told.get(run_id, RunState.GONE) for run_id in run_ids}

    def failed_steps(self, run_id: str) -> list[str]:
        """The names of the run's steps that failed: an asset is one, and so are its checks."""
        wanted: Json = {"runIds": [run_id]}
        runs = self._ask(_STEPS, {"filter": wanted}, _Runs).runs.results
        return [step.key for run in runs for step in run.steps if step.status == "FAILURE"]

    def state(self) -> DagsterState:
        """Its runs, of every clinic and origin, and when its daemon was last at work."""
        asked: Json = {
            "queued": {"statuses": WAITING_STATUSES},
            "running": {"statuses": ACTIVE_STATUSES},
            "alerts": {**_REPOSITORY, "sensorName": ALERTS_SENSOR},
        }
        return self._ask(STATE_QUERY, asked, StateResponse).state()

    def check(self) -> None:
        """Make sure that runs can be launched: Dagster answers and knows our code."""
        entry = self._ask(_CHECK, {"location": LOCATION}, _Location).entry
        kind = entry.content.kind if entry and entry.content else "not loaded"
        if kind != "RepositoryLocation":
            raise DagsterRefused(f"Dagster has not loaded the code location ({kind})")

    def _ask(
        self,
        query: str,
        variables: Json,
        shape: type[_Answer],
        *,
        seconds: float | None = None,
    ) -> _Answer:
        """The answer's data, in that shape."""
        seconds = _ASK_SECONDS if seconds is None else seconds
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
            raise NoResponse(f"Dagster did not answer ({type(error).__name__})") from None
        if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise NoResponse(f"Dagster did not answer (status {response.status_code})")
        if response.status_code != httpx2.codes.OK:
            raise DagsterRefused(
                f"Dagster refused what it was asked (status {response.status_code}); fix "
                "DAGSTER_GRAPHQL_URL if it is not the address of the Dagster UI"
            )
        try:
            return shape.model_validate(response.json()["data"])
        except (ValueError, TypeError, KeyError):
            # Their messages would quote what was received.
            raise NoResponse(
                "what answered is not Dagster, or it broke; its log tells why"
            ) from None


def _pairs(tags: Mapping[str, str]) -> Json:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
