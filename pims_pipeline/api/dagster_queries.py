"""The GraphQL documents that ``dagster_client`` sends, and the models of their responses.

The document of ``/metrics`` is in ``monitoring.dagster_state``.
"""

from pydantic import BaseModel, Field


class Named(BaseModel):
    """A response, by the name of its type. Messages are not read: they may quote anything."""

    kind: str = Field(alias="__typename")


class RunId(BaseModel):
    """The id of a run."""

    id: str = Field(alias="runId")


class Launch(Named):
    """The result of a launch: a run, or the name of an error."""

    run: RunId | None = None


class Launched(BaseModel):
    """The response to ``LAUNCH``."""

    launch: Launch = Field(alias="launchRun")


class Step(BaseModel):
    """A step of a run; its status is None until it ends."""

    key: str = Field(alias="stepKey")
    status: str | None


class Run(BaseModel):
    """A run with its status; ``steps`` only in the response to ``STEPS``."""

    id: str = Field(alias="runId")
    status: str
    steps: list[Step] = Field(default=[], alias="stepStats")


class Results(BaseModel):
    """A list of runs."""

    results: list[Run]


class Runs(BaseModel):
    """The response to ``FIND`` and ``STEPS``."""

    runs: Results = Field(alias="runsOrError")


class Entry(BaseModel):
    """The entry of a code location; its content is None while it loads."""

    content: Named | None = Field(default=None, alias="locationOrLoadError")


class CodeLocation(BaseModel):
    """The response to ``CHECK``."""

    entry: Entry | None = Field(alias="workspaceLocationEntryOrError")


# One request for both: mutations are executed in order. Adding a partition that exists is
# no error that matters.
LAUNCH = """
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

FIND = """
query Find($filter: RunsFilter!) {
  runsOrError(filter: $filter) { ... on Runs { results { runId status } } }
}
"""

STEPS = """
query Steps($filter: RunsFilter!) {
  runsOrError(filter: $filter) {
    ... on Runs { results { runId status stepStats { stepKey status } } }
  }
}
"""

CHECK = """
query Check($location: String!) {
  workspaceLocationEntryOrError(name: $location) {
    ... on WorkspaceLocationEntry { locationOrLoadError { __typename } }
  }
}
"""
