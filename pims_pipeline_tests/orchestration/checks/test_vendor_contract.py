"""The check ``vendor_contract`` warns of drift, names no values, and passes in a first week."""

from datetime import timedelta

import dagster as dg
import pytest

from pims_pipeline.domain.clinics import MAX_FETCH_DAYS
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.shapes import Endpoint, FieldShape, Shapes, shapes_of
from pims_pipeline.orchestration.assets.daily_report import report_metadata
from pims_pipeline.orchestration.assets.report_markdown import markdown
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.daily_report import report_of
from pims_pipeline.store.shapes.writing import add_shapes
from pims_pipeline.sync.phases.verification import last_audits
from pims_pipeline_tests.orchestration.checks.findings import WINDOW, findings_of
from pims_pipeline_tests.orchestration.deployment import TODAY, DagsterDeployment, days

KNOWN = {"id", "name", "tier"}
USUAL = shapes_of(Endpoint.LISTING, [{"id": n} for n in range(20)], KNOWN)
NAMED = (FieldShape("listing[].name", "string", 20),)


def sent(deployment: DagsterDeployment, ago: int, *shapes: Shapes) -> None:
    """What alder's vendor sent so many days ago."""
    clinic = deployment.clinics["alder"]
    with transaction(deployment.engine) as connection:
        for each in shapes:
            add_shapes(connection, clinic, each, utc_now() - timedelta(days=ago))


@pytest.fixture
def former(deployment: DagsterDeployment) -> DagsterDeployment:
    """The deployment, after weeks in which alder's vendor also sent a name."""
    for ago in range(8, 25):
        sent(deployment, ago, USUAL, NAMED)
    return deployment


def inbound(deployment: DagsterDeployment, shapes: Shapes) -> str:
    deployment.book("alder", WINDOW)
    deployment.vendors["alder"].listing_shapes = shapes
    outcome = deployment.sync("inbound_sync", ["alder"], WINDOW)
    assert outcome.success
    return outcome.run_id


def test_new_missing_and_changed_fields_are_listed_and_the_sync_goes_on(
    former: DagsterDeployment,
) -> None:
    for ago in range(1, 7):
        sent(former, ago, USUAL)
    now = shapes_of(Endpoint.LISTING, [{"id": "x", "tier": 1}], KNOWN)
    run_id = inbound(former, now)
    assert [(each.what, each.items) for each in findings_of(former, "vendor_contract", run_id)] == [
        ("fields that are new this week: path, JSON types", ("listing[].tier (number)",)),
        (
            "fields that are missing since last week: path, JSON types",
            ("listing[].name (string)",),
        ),
        (
            "fields whose JSON types changed since last week",
            ("listing[].id (number; now number, string)",),
        ),
    ]
    evaluation = former.check(run_id, "appointments", "vendor_contract")
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert evaluation.metadata["partitions_with_findings"].value == len(WINDOW)
    links = evaluation.metadata["console"].value
    assert isinstance(links, str)
    [audit] = last_audits(former.engine, run_id, Phase.INBOUND)
    page = f"http://127.0.0.1:8000/console/clinics/alder/changes/{audit.id}?date={WINDOW.start}"
    assert links.splitlines()[0] == (
        f"- [alder, {WINDOW}]({page}): fields that are new this week: path, JSON types"
    )


def test_a_first_week_passes_and_says_so(deployment: DagsterDeployment) -> None:
    run_id = inbound(deployment, USUAL)
    evaluation = deployment.check(run_id, "appointments", "vendor_contract")
    assert evaluation.passed
    assert evaluation.metadata["partitions_with_findings"].value == 0
    shown = evaluation.metadata["findings"]
    assert isinstance(shown, dg.TableMetadataValue)
    [row] = [record.data for record in shown.records]
    assert (row["clinic"], row["items"]) == ("alder", "listing")
    assert row["finding"] == "in their first week: nothing to compare"


def test_several_windows_of_a_clinic_state_a_finding_once(deployment: DagsterDeployment) -> None:
    window = days(-MAX_FETCH_DAYS, 0)
    deployment.vendors["alder"].listing_shapes = USUAL
    run_id = deployment.sync("inbound_sync", ["alder"], window).run_id
    evaluation = deployment.check(run_id, "appointments", "vendor_contract")
    assert evaluation.metadata["windows"].value == 2
    shown = evaluation.metadata["findings"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert len(shown.records) == 1


def test_a_clinic_that_was_closed_for_a_week_passes(former: DagsterDeployment) -> None:
    empty = shapes_of(Endpoint.LISTING, [], KNOWN)
    for ago in range(1, 7):
        sent(former, ago, empty)
    run_id = inbound(former, empty)
    assert findings_of(former, "vendor_contract", run_id) == []
    assert former.check(run_id, "appointments", "vendor_contract").passed


def test_each_phase_compares_its_own_endpoints(former: DagsterDeployment) -> None:
    listed = inbound(former, USUAL)
    sent(former, 20, shapes_of(Endpoint.CONSULTATION, {"id": 1}, KNOWN))
    sent(former, 0, (FieldShape("consultation.tier", "string", 1),))
    outcome = former.sync("case_sync", ["alder"], WINDOW)
    [missing] = findings_of(former, "vendor_contract", listed, phase=Phase.INBOUND)
    [new] = findings_of(former, "vendor_contract", outcome.run_id, phase=Phase.CASES)
    assert (missing.items, new.items) == (
        ("listing[].name (string)",),
        ("consultation.tier (string)",),
    )


def test_the_daily_report_lists_the_changes_of_each_clinic(former: DagsterDeployment) -> None:
    with transaction(former.engine) as connection:
        quiet = report_of(connection, TODAY)
    sent(former, 0, USUAL, shapes_of(Endpoint.LISTING, [{"tier": 1}], KNOWN))
    with transaction(former.engine) as connection:
        day = report_of(connection, TODAY)
    assert quiet.contracts == []
    [found] = day.contracts
    assert (found.clinic, found.new, found.missing, found.changed) == ("alder", 1, 1, 0)
    assert found.fields == ("listing[].tier (number)", "listing[].name (string)")
    assert "vendor_contract" in markdown(day)
    assert "`listing[].tier (number)`; `listing[].name (string)`" in markdown(day)
    assert "vendor_contract" not in markdown(quiet)
    assert report_metadata(day)["contract_changes"].value == 2
