"""The metrics for Prometheus: names, labels and buckets, in one registry per app.

Add a metric here; reading its value belongs to the caller of ``Metrics.render``. Labels are slugs,
phases, statuses, kinds and route templates: no personal data, and at most one value per clinic.
"""

import threading
from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
UNMATCHED = "unmatched"
"""The route label of requests without a route: their paths are the client's, and unbounded."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SYNC_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800)
"""From a warm sync of a day to a first one of months."""

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
"""Up to the longest wait that a client may request."""


class RequestMetrics:
    """Requests, response statuses and durations for each route of the API."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "pims_api_requests",
            "Requests to the API, by route template, method and status.",
            ("route", "method", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "pims_api_request_duration_seconds",
            "How long the API took to respond.",
            ("route", "method"),
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )

    def observe(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """Count a request and its response.

        Args:
            route: The template, such as ``/api/sync/{sync_id}``, never the path of the request;
                None when no route matches.
            method: As the client sent it; an unknown one counts as ``other``.
            status: Of the response.
            seconds: From the arrival of the request to the end of the response.
        """
        template = route or UNMATCHED
        known = method if method in _METHODS else "other"
        self._count.labels(template, known, str(status)).inc()
        self._seconds.labels(template, known).observe(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicReading:
    """The state of an active clinic.

    Attributes:
        last_success_age: By phase, seconds since its last success; lacks phases without one.
        open_holds: Windows whose deletions wait for a person.
        open_failures: Records that failed and have not succeeded since.
        session_is_valid: Whether the stored session needs no new login.
        ticks_skipped: By phase, ticks of its schedule skipped because it was still running.
    """

    slug: str
    last_success_age: Mapping[str, float]
    open_holds: int
    open_failures: int
    session_is_valid: bool
    ticks_skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The values for one scrape. None where a source could not be read.

    Attributes:
        clinics: The active clinics.
        open_alerts: By kind, over all clinics.
        runs: Dagster's unfinished runs, by state.
        daemon_ages: Seconds since the last ``heartbeat`` of Dagster's daemon, and since its
            sensor last evaluated ``alerts``; lacks what never happened.
        adoption_differences: By slug, of adopted clinics alone.
    """

    clinics: Sequence[ClinicReading] | None
    open_alerts: Mapping[str, int] | None
    runs: Mapping[str, int] | None
    daemon_ages: Mapping[str, float] = field(default_factory=dict)
    adoption_differences: Mapping[str, int] = field(default_factory=dict)


class SyncMetrics(Collector):
    """The syncs that ended since the app started, and the clinics' state at the last reading.

    Args:
        ends: By phase, the statuses with which it can end. Their counters start at zero, because
            Prometheus sees no increase in a counter that appears with its first failure.
    """

    def __init__(self, registry: CollectorRegistry, *, ends: Mapping[str, Sequence[str]]) -> None:
        self._ends = ends
        self._lock = threading.Lock()
        self._ended: Tally[tuple[str, str, str]] = Tally()
        self._reading = Reading(clinics=None, open_alerts=None, runs=None)
        self._seconds = Histogram(
            "pims_sync_duration_seconds",
            "How long a phase over one window took.",
            ("phase",),
            buckets=_SYNC_SECONDS,
            registry=registry,
        )
        for phase in ends:
            self._seconds.labels(phase)
        registry.register(self)

    def count(self, slug: str, phase: str, status: str, seconds: float | None) -> None:
        """Count a phase over one window that ended; ``seconds`` is None if unknown."""
        with self._lock:
            self._ended[slug, phase, status] += 1
        if seconds is not None:
            self._seconds.labels(phase).observe(seconds)

    def show(self, reading: Reading) -> None:
        """Replace the reading that ``collect`` exports."""
        self._reading = reading
        with self._lock:
            for clinic in reading.clinics or ():
                for phase, statuses in self._ends.items():
                    self._ended.update({(clinic.slug, phase, status): 0 for status in statuses})

    def collect(self) -> Iterator[Metric]:
        """The present metrics, in the form that Prometheus's client expects."""
        yield self._syncs()
        yield from self._of_clinics(self._reading.clinics)
        yield _gauge_by(
            "pims_open_alerts", "Alerts that have not ended.", "kind", self._reading.open_alerts
        )
        yield _gauge_by(
            "pims_adoption_differences",
            "Differences of an adopted clinic from v4.0 when they were last compared.",
            "clinic",
            self._reading.adoption_differences,
        )
        yield _gauge_by("pims_dagster_runs", "Unfinished runs.", "state", self._reading.runs)
        yield _gauge_by(
            "pims_daemon_age_seconds",
            "Time since the last heartbeat of Dagster's daemon.",
            "what",
            self._reading.daemon_ages,
        )
        yield _gauge_by(
            "pims_scrape_success",
            "Whether the source could be read for this scrape; if not, its metrics are absent.",
            "source",
            {
                "database": int(self._reading.clinics is not None),
                "dagster": int(self._reading.runs is not None),
            },
        )

    def _syncs(self) -> Metric:
        family = CounterMetricFamily(
            "pims_syncs",
            "Phases over one window that ended since the API started.",
            labels=("clinic", "phase", "status"),
        )
        with self._lock:
            ended = dict(self._ended)
        for labels, number in ended.items():
            family.add_metric(labels, number)
        return family

    def _of_clinics(self, clinics: Sequence[ClinicReading] | None) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "pims_last_success_age_seconds",
            "Time since the phase's last success.",
            labels=("clinic", "phase"),
        )
        skipped = CounterMetricFamily(
            "pims_schedule_ticks_skipped",
            "Ticks skipped because the phase was still running.",
            labels=("clinic", "phase"),
        )
        for clinic in clinics or ():
            for phase in self._ends:
                if phase in clinic.last_success_age:
                    age.add_metric((clinic.slug, phase), clinic.last_success_age[phase])
                skipped.add_metric((clinic.slug, phase), clinic.ticks_skipped.get(phase, 0))
        yield age
        yield skipped
        for name, documentation, attribute in (
            ("pims_open_holds", "Windows whose deletions wait for a person.", "open_holds"),
            ("pims_open_failures", "Records with an open failure.", "open_failures"),
            # For one release: it never counted dead letters.
            ("pims_dead_letters", "Deprecated name of pims_open_failures.", "open_failures"),
            (
                "pims_session_valid",
                "Whether the stored session needs no new login.",
                "session_is_valid",
            ),
        ):
            values = {each.slug: int(getattr(each, attribute)) for each in clinics or ()}
            yield _gauge_by(name, documentation, "clinic", values)


def _gauge_by(
    name: str, documentation: str, label: str, values: Mapping[str, float] | None
) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=(label,))
    for value, number in (values or {}).items():
        family.add_metric((value,), number)
    return family


class Metrics:
    """All metrics of one app."""

    def __init__(self, *, ends: Mapping[str, Sequence[str]]) -> None:
        """``ends`` is for ``SyncMetrics``."""
        # Otherwise the library adds a gauge with the time of creation to each of ours.
        disable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations
        self._registry = CollectorRegistry()
        self._rendering = threading.Lock()
        self.requests = RequestMetrics(self._registry)
        self.syncs = SyncMetrics(self._registry, ends=ends)
        ProcessCollector(registry=self._registry)

    def render(self, reading: Reading) -> bytes:
        """The response to a scrape, of type ``CONTENT_TYPE``, with the values of ``reading``."""
        with self._rendering:
            self.syncs.show(reading)
            return generate_latest(self._registry)
