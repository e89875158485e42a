"""The GraphQL query for ``/metrics``: Dagster's runs, its daemon and its alerting sensor.

``dagster_client`` sends it.
"""

from dataclasses import dataclass

from pydantic import BaseModel, Field

STATE_QUERY = """
query State($queued: RunsFilter!, $running: RunsFilter!, $alerts: SensorSelector!) {
  queued: runsOrError(filter: $queued) { ... on Runs { count } }
  running: runsOrError(filter: $running) { ... on Runs { count } }
  instance { daemonHealth { daemonStatus(daemonType: "SENSOR") { lastHeartbeatTime } } }
  alerts: sensorOrError(sensorSelector: $alerts) {
    ... on Sensor {
      sensorState { ticks(limit: 1, statuses: [SUCCESS, SKIPPED]) { timestamp } }
    }
  }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DagsterState:
    """The state of Dagster. Times are seconds since 1970, UTC.

    Attributes:
        queued: Number of queued runs.
        running: Number of active runs.
        daemon_seen_at: The last heartbeat of the daemon that runs sensors; None if it never
            sent one.
        alerts_evaluated_at: When the alerting sensor last succeeded; None if it never did.
    """

    queued: int
    running: int
    daemon_seen_at: float | None = None
    alerts_evaluated_at: float | None = None


class _Count(BaseModel):
    count: int


class _DaemonStatus(BaseModel):
    last_heartbeat: float | None = Field(default=None, alias="lastHeartbeatTime")


class _DaemonHealth(BaseModel):
    status: _DaemonStatus = Field(alias="daemonStatus")


class _Instance(BaseModel):
    health: _DaemonHealth = Field(alias="daemonHealth")


class _Tick(BaseModel):
    timestamp: float


class _SensorState(BaseModel):
    ticks: list[_Tick] = []


class _Sensor(BaseModel):
    # Absent while the code location is not loaded.
    state: _SensorState = Field(default=_SensorState(), alias="sensorState")


class StateResponse(BaseModel):
    """The response to ``STATE_QUERY``."""

    queued: _Count
    running: _Count
    instance: _Instance
    alerts: _Sensor

    def state(self) -> DagsterState:
        """Return it in the shape that the rest of the API uses."""
        ticks = self.alerts.state.ticks
        return DagsterState(
            queued=self.queued.count,
            running=self.running.count,
            daemon_seen_at=self.instance.health.status.last_heartbeat,
            alerts_evaluated_at=ticks[0].timestamp if ticks else None,
        )
