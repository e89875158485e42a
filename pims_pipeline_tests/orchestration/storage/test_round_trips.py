"""What a sync asks of the database: what is added here makes each sync slower, far ones most."""

from collections import Counter
from dataclasses import replace
from math import inf

import dagster as dg
import pytest
from dagster import DagsterInstance

from pims_pipeline.diagnosis.database import ROUND_TRIPS_OF_A_SYNC
from pims_pipeline.domain.records.shapes import Endpoint, shapes_of
from pims_pipeline.orchestration.storage import event_log
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment, days
from pims_pipeline_tests.orchestration.storage.round_trips import kind_of, round_trips

MOST = {
    "dagster: INSERT event_logs": 29,
    "dagster: SELECT asset_keys": 14,
    "dagster: SELECT event_logs": 14,
    "dagster: INSERT asset_keys": 7,
    "dagster: SELECT runs": 5,
    "dagster: SELECT snapshots": 4,
    "dagster: INSERT asset_event_tags": 3,
    "dagster: UPDATE asset_check_executions": 3,
    "dagster: SELECT dynamic_partitions": 3,
    "dagster: UPDATE runs": 2,
    "dagster: INSERT asset_check_executions": 1,
    "dagster: INSERT run_tags": 1,
    "dagster: INSERT runs": 1,
    "dagster: SELECT pg_catalog.pg_attrdef": 1,
    # A connection that rested for a second is pinged, or opened for a second thread.
    "dagster: connect": 1,
    "connect": 2,
    "BEGIN": 39,
    "COMMIT or ROLLBACK": 39,
    "SELECT case_sync_audits": 16,
    "SELECT pims_appointments": 15,
    "SELECT cases": 9,
    "SELECT clinics": 6,
    "SELECT pg_advisory_xact_lock(%(kind)s, %(key)s)": 4,
    "UPDATE case_sync_audits": 4,
    "INSERT case_sync_audits": 3,
    "SELECT case_events": 3,
    "SELECT clinic_words": 3,
    "SELECT run_leases": 3,
    "SELECT sync_failures": 2,
    "UPDATE pims_appointments": 2,
    "UPDATE sync_failures": 2,
    "DELETE run_leases": 1,
    "INSERT credential_access_log": 1,
    "INSERT run_leases": 1,
    # Renewed every ten seconds.
    "UPDATE run_leases": 3,
    "SELECT adoptions": 2,
    # By the checks of two phases; what a listing's vendor sent is written in one statement.
    "SELECT vendor_shapes": 2,
    "INSERT vendor_shapes": 1,
    "SELECT clinic_schedule_configs": 1,
    "SELECT clock_timestamp() AS clock_timestamp_1": 1,
    "SELECT pims_sessions": 1,
    "SELECT reconciliation_holds": 2,
    "UPDATE pims_sessions": 1,
    "UPDATE reconciliation_holds": 1,
}
"""The most that a warm full sync of one clinic asks, whatever its number of days."""

_AT_TIMES = {"BEGIN": 6, "COMMIT or ROLLBACK": 6, "UPDATE case_sync_audits": 3}
"""What a slow machine adds: progress, and the renewals of a lease."""


@pytest.fixture
def deployment(
    deployment: DagsterDeployment,
    postgres_instance: DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> DagsterDeployment:
    """The deployment, with Dagster's storage in Postgres, whose lookups stay valid."""
    monkeypatch.setattr(event_log, "REMEMBERED_SECONDS", inf)
    return replace(deployment, instance=postgres_instance)


def trips_of_a_warm_sync(
    deployment: DagsterDeployment, slugs: list[str], first: int, last: int
) -> Counter[str]:
    for slug in slugs:
        deployment.book(slug, days(first, last))
        deployment.vendors[slug].listing_shapes = shapes_of(Endpoint.LISTING, [{"id": 1}], {"id"})
    assert deployment.sync("full_sync", slugs, days(first, last)).success
    with round_trips() as trips:
        assert deployment.sync("full_sync", slugs, days(first, last)).success
    return trips


def test_a_warm_full_sync_asks_no_more_than_it_did(deployment: DagsterDeployment) -> None:
    trips = trips_of_a_warm_sync(deployment, ["alder"], -7, 7)
    more = {
        what: f"{number} instead of {MOST.get(what, 0)}"
        for what, number in trips.items()
        if number > MOST.get(what, 0) + _AT_TIMES.get(what, 0)
    }
    assert more == {}
    assert trips["dagster: INSERT event_logs"] > 0


def test_more_clinics_and_days_ask_dagster_for_more_log_lines_only(
    deployment: DagsterDeployment,
) -> None:
    slugs = ["alder", "birch", "cedar"]
    trips = trips_of_a_warm_sync(deployment, slugs, -10, 4)
    of_dagster = {what: n for what, n in trips.items() if what.startswith("dagster: ")}
    events = "dagster: INSERT event_logs"
    # A line for each clinic in each phase, and batches of a hundred events.
    assert of_dagster.pop(events) <= MOST[events] + 3 * (len(slugs) - 1) + 6
    # A hundred events are a batch.
    for batched in (
        "INSERT asset_keys",
        "INSERT asset_event_tags",
        "INSERT asset_check_executions",
    ):
        of_dagster[f"dagster: {batched}"] -= 3
    # Dagster lists the clinics of a range at each use of it, however many they are.
    of_dagster["dagster: SELECT dynamic_partitions"] -= 18
    assert {what: n for what, n in of_dagster.items() if n > MOST[what]} == {}


def test_a_run_lists_its_partitions_a_few_times_and_never_all_of_them(
    deployment: DagsterDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = days(-20, 20)
    deployment.book("alder", window)
    listed: list[dg.PartitionKeyRange] = []
    in_range = dg.MultiPartitionsDefinition.get_partition_keys_in_range

    def note(
        self: dg.MultiPartitionsDefinition, partition_key_range: dg.PartitionKeyRange, *rest: object
    ) -> object:
        listed.append(partition_key_range)
        return in_range(self, partition_key_range, *rest)  # type: ignore[arg-type]  # passed on

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the partitions of all clinics are being listed")

    with monkeypatch.context() as patch:
        patch.setattr(dg.MultiPartitionsDefinition, "get_partition_keys_in_range", note)
        patch.setattr(dg.MultiPartitionsDefinition, "get_partition_keys", refuse)
        outcome = deployment.sync("full_sync", ["alder"], window)
    assert outcome.success
    assert len(listed) <= 20


def test_a_statement_is_counted_by_its_verb_and_table() -> None:
    assert kind_of("SELECT 1 FROM cases AS c JOIN clinics USING (id)") == "SELECT cases"
    assert kind_of("\n UPDATE clinics SET name = 'x'") == "UPDATE clinics"
    assert kind_of("NOTIFY run_events, 'x'") == "NOTIFY run_events"
    assert kind_of("SELECT now()") == "SELECT now()"


def test_what_the_doctor_takes_a_sync_for_is_about_what_it_may_ask() -> None:
    assert sum(MOST.values()) == pytest.approx(ROUND_TRIPS_OF_A_SYNC, rel=0.15)
