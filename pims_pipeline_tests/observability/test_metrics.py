"""What Prometheus reads: names, labels, values, and what is absent."""

from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pims_pipeline.observability.metrics import ClinicReading, Metrics, Reading

ENDS = {"inbound": ("completed", "failed"), "reconciliation": ("completed", "held")}
NOTHING = Reading(clinics=None, open_alerts=None, runs=None)

Samples = Mapping[tuple[str, ...], float]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(ends=ENDS)


def samples(metrics: Metrics, name: str, reading: Reading = NOTHING) -> Samples:
    """The values of a metric by its labels' values, in the order of the labels' names."""
    families = text_string_to_metric_families(metrics.render(reading).decode())
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def reading_of(*clinics: ClinicReading) -> Reading:
    return Reading(clinics=clinics, open_alerts={"hold": 2, "overdue": 0}, runs=None)


MAPLE = ClinicReading(
    slug="maple-street",
    last_success_age={"inbound": 61.5},
    open_holds=2,
    open_failures=3,
    session_is_valid=True,
    ticks_skipped={"inbound": 4},
)


def test_syncs_are_counted_by_clinic_phase_and_status_from_zero(metrics: Metrics) -> None:
    metrics.syncs.count("maple-street", "inbound", "failed", 3)
    metrics.syncs.count("maple-street", "inbound", "failed", None)
    assert samples(metrics, "pims_syncs_total", reading_of(MAPLE)) == {
        ("maple-street", "inbound", "completed"): 0,
        ("maple-street", "inbound", "failed"): 2,
        ("maple-street", "reconciliation", "completed"): 0,
        ("maple-street", "reconciliation", "held"): 0,
    }


def test_times_of_creation_are_not_sent(metrics: Metrics) -> None:
    metrics.requests.observe("/health", "GET", 200, 0.1)
    metrics.syncs.count("maple-street", "inbound", "completed", 3)

    shown = metrics.render(reading_of(MAPLE)).decode()

    assert "pims_api_requests_total" in shown
    assert "_created" not in shown


def test_counts_are_shown_when_the_database_does_not_respond(metrics: Metrics) -> None:
    metrics.syncs.count("maple-street", "inbound", "completed", 3)
    samples(metrics, "pims_syncs_total", reading_of(MAPLE))
    kept = samples(metrics, "pims_syncs_total", NOTHING)
    assert kept["maple-street", "inbound", "completed"] == 1


def test_durations_fall_into_buckets_up_to_half_an_hour(metrics: Metrics) -> None:
    for seconds in (0.4, 1799, 1801):
        metrics.syncs.count("maple-street", "inbound", "completed", seconds)
    metrics.syncs.count("maple-street", "inbound", "interrupted", None)
    buckets = samples(metrics, "pims_sync_duration_seconds_bucket")
    assert [buckets[bound, "inbound"] for bound in ("0.5", "1200.0", "1800.0", "+Inf")] == [
        1,
        1,
        2,
        3,
    ]
    assert buckets["+Inf", "reconciliation"] == 0


def test_the_status_of_each_clinic_is_shown(metrics: Metrics) -> None:
    found = {
        name: samples(metrics, f"pims_{name}", reading_of(MAPLE))
        for name in (
            "last_success_age_seconds",
            "open_holds",
            "open_failures",
            "session_valid",
            "schedule_ticks_skipped_total",
            "open_alerts",
        )
    }
    assert found == {
        "last_success_age_seconds": {("maple-street", "inbound"): 61.5},
        "open_holds": {("maple-street",): 2},
        "open_failures": {("maple-street",): 3},
        "session_valid": {("maple-street",): 1},
        "schedule_ticks_skipped_total": {
            ("maple-street", "inbound"): 4,
            ("maple-street", "reconciliation"): 0,
        },
        "open_alerts": {("hold",): 2, ("overdue",): 0},
    }


def test_the_former_name_of_open_failures_has_the_same_number_for_one_release(
    metrics: Metrics,
) -> None:
    former, now = (
        samples(metrics, f"pims_{name}", reading_of(MAPLE))
        for name in ("dead_letters", "open_failures")
    )
    assert former == now == {("maple-street",): 3}
    text = metrics.render(reading_of(MAPLE)).decode()
    assert "# HELP pims_dead_letters Deprecated name of pims_open_failures." in text


def test_a_deleted_clinic_is_not_shown(metrics: Metrics) -> None:
    samples(metrics, "pims_open_holds", reading_of(MAPLE))
    assert samples(metrics, "pims_open_holds", reading_of()) == {}


def test_a_value_that_a_source_did_not_return_is_absent_and_reported_so(metrics: Metrics) -> None:
    runs = Reading(clinics=None, open_alerts=None, runs={"queued": 0, "running": 3})
    database = ("database",)
    dagster = ("dagster",)

    assert samples(metrics, "pims_dagster_runs", runs) == {("queued",): 0, ("running",): 3}
    assert samples(metrics, "pims_scrape_success", runs) == {database: 0, dagster: 1}
    assert samples(metrics, "pims_dagster_runs", reading_of(MAPLE)) == {}
    assert samples(metrics, "pims_scrape_success", reading_of(MAPLE)) == {database: 1, dagster: 0}
    assert samples(metrics, "pims_open_alerts", runs) == {}


def test_requests_are_counted_by_route_method_and_status(metrics: Metrics) -> None:
    metrics.requests.observe("/api/sync/{sync_id}", "GET", 200, 0.02)
    metrics.requests.observe("/api/sync/{sync_id}", "GET", 404, 0.02)
    assert samples(metrics, "pims_api_requests_total") == {
        ("GET", "/api/sync/{sync_id}", "200"): 1,
        ("GET", "/api/sync/{sync_id}", "404"): 1,
    }
    seconds = samples(metrics, "pims_api_request_duration_seconds_count")
    assert seconds == {("GET", "/api/sync/{sync_id}"): 2}


def test_paths_and_methods_that_clients_invent_make_no_new_labels(metrics: Metrics) -> None:
    for number in range(50):
        metrics.requests.observe(None, f"INVENTED{number}", 404, 0.001)
    assert samples(metrics, "pims_api_requests_total") == {("other", "unmatched", "404"): 50}


def test_two_apps_of_one_process_count_apart(metrics: Metrics) -> None:
    other = Metrics(ends=ENDS)
    other.requests.observe("/health", "GET", 200, 0.001)
    assert samples(metrics, "pims_api_requests_total") == {}
