"""Metadata in Dagster: numbers and ids that can be traced, and no personal data."""

import dagster as dg

from pims_pipeline.orchestration.jobs import JOBS
from pims_pipeline.orchestration.partitions import register_clinics
from pims_pipeline.store.tables.all import metadata as stored
from pims_pipeline_tests.orchestration.deployment import (
    ASSETS,
    SECRET_PATIENT,
    SECRET_PHONE,
    SLUGS,
    DagsterDeployment,
    days,
)
from pims_pipeline_tests.test_docs import ROOT, anchors

CONSOLE = "http://127.0.0.1:8000/console"
NIGHTLY = ("nightly_maintenance", "nightly_report")


def test_a_partition_has_its_counts_and_its_audit(
    deployment: DagsterDeployment,
) -> None:
    window = days(-1, 0)
    deployment.book("alder", window)
    deployment.vendors["alder"].delete(f"alder-{window.start}")
    outcome = deployment.sync("inbound_sync", ["alder"], window)
    (audit,) = outcome.audits
    (case,) = deployment.rows("SELECT id FROM cases")
    metadata = deployment.metadata("appointments", f"alder|{window.end}")
    duration = metadata.pop("duration_ms")
    assert isinstance(duration, int)
    assert metadata == {
        "found": 1,
        "created": 1,
        "audit_id": str(audit.id),
        "window": str(window),
        "window_changed_case_ids": [str(case.id)],
        "provenance": "`pims cases show ID` shows every change of a case, when and why",
        "console": f"{CONSOLE}/clinics/alder/changes/{audit.id}?date={window.end}",
        "run_in_console": f"{CONSOLE}/runs/{outcome.run_id}",
    }
    empty = deployment.metadata("appointments", f"alder|{window.start}")
    assert empty["found"] == 0
    assert not {"window_changed_case_ids", "provenance"} & set(empty)


def test_dagster_stores_no_personal_data(deployment: DagsterDeployment) -> None:
    window = days(-2, 1)
    for slug, vendor in deployment.vendors.items():
        deployment.book(slug, window)
        for appointment in list(vendor.appointments.values()):
            vendor.put(
                type(appointment)(
                    **{
                        **{
                            name: getattr(appointment, name) for name in type(appointment).__slots__
                        },
                        "patient": type(appointment.patient)(id="p", name=SECRET_PATIENT),
                        "client": type(appointment.client)(
                            id="c", name=SECRET_PATIENT, phone=SECRET_PHONE
                        ),
                        "notes": SECRET_PATIENT,
                    }
                )
            )
        vendor.record_appointment(f"{slug}-{window.start}", notes=SECRET_PATIENT)
    deployment.vendors["cedar"].fail_next(KeyError(SECRET_PATIENT), "listing")
    outcome = deployment.sync("full_sync", ["alder", "birch", "cedar"], window)
    stored = deployment.rows("SELECT patient_name FROM cases LIMIT 1")
    assert [row.patient_name for row in stored] == [SECRET_PATIENT]
    kept = "\n".join(
        dg.serialize_value(entry) for entry in deployment.instance.all_logs(outcome.run_id)
    )
    assert "alder" in kept
    assert SECRET_PATIENT not in kept
    assert SECRET_PHONE not in kept


def test_case_events_carry_the_run_and_the_partition(deployment: DagsterDeployment) -> None:
    window = days(0, 0)
    deployment.book("birch", window)
    outcome = deployment.sync("inbound_sync", ["birch"], window)
    (event,) = deployment.rows("SELECT run_id, partition_key FROM case_events")
    assert event.run_id == outcome.run_id
    assert event.partition_key == f"birch|{window.start}"


def test_the_lineage_shows_where_cases_come_from_and_go(deployment: DagsterDeployment) -> None:
    graph = deployment.definitions.resolve_asset_graph()
    parents = {
        key.to_user_string(): {each.to_user_string() for each in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents == {
        "vendor_calendar": set(),
        "vendor_consultations": set(),
        "appointments": {"vendor_calendar"},
        "consultations": {"appointments", "vendor_consultations"},
        "reconciliation": {"appointments"},
        "application_cases": set(ASSETS),
        "cases": set(ASSETS),
        "case_events": set(ASSETS),
        "daily_report": set(ASSETS),
        "maintenance": set(),
    }
    groups = {key.to_user_string(): graph.get(key).group_name for key in graph.get_all_asset_keys()}
    assert {name for name, group in groups.items() if group == "operations"} == {
        "daily_report",
        "maintenance",
    }
    assert set(groups.values()) == {"operations", "pims"}


def test_every_asset_check_job_schedule_and_sensor_is_described(
    deployment: DagsterDeployment,
) -> None:
    repository = deployment.definitions.get_repository_def()
    graph = deployment.definitions.resolve_asset_graph()
    described = {
        **{key.to_user_string(): graph.get(key).description for key in graph.get_all_asset_keys()},
        **{key.name: graph.get_check_spec(key).description for key in graph.asset_check_keys},
        **{name: repository.get_job(name).description for name in (*JOBS, *NIGHTLY)},
        **{each.name: each.description for each in repository.schedule_defs},
        **{each.name: each.description for each in repository.sensor_defs},
    }
    assert [name for name, description in described.items() if not description] == []


def test_every_named_document_has_the_named_heading(
    deployment: DagsterDeployment,
) -> None:
    graph = deployment.definitions.resolve_asset_graph()
    documents = [
        *(graph.get(key).metadata["documents"] for key in graph.get_all_asset_keys()),
        *(graph.get_check_spec(key).metadata["documents"] for key in graph.asset_check_keys),
    ]
    places = {place for each in documents for place in str(each.value).split(", ")}
    missing = {
        place
        for place in places
        if place.partition("#")[2] not in anchors(ROOT / place.partition("#")[0])
    }
    assert missing == set()


def test_assets_show_the_columns_of_the_tables_they_write(deployment: DagsterDeployment) -> None:
    graph = deployment.definitions.resolve_asset_graph()
    for asset, table in (("appointments", "pims_appointments"), ("consultations", "cases")):
        metadata = graph.get(dg.AssetKey(asset)).metadata
        assert str(metadata["writes"].value).split(", ")[0] == table
        shown = metadata["dagster/column_schema"]
        assert isinstance(shown, dg.TableSchema)
        assert [column.name for column in shown.columns] == stored.tables[table].columns.keys()
        assert all(column.description for column in shown.columns)


def test_a_run_started_by_hand_is_found_by_clinic_and_phase(deployment: DagsterDeployment) -> None:
    outcome = deployment.sync("case_sync", ["birch", "cedar"], days(0, 0))

    def found(**tags: str) -> list[str]:
        filters = dg.RunsFilter(tags={name.replace("__", "/"): tag for name, tag in tags.items()})
        return [run.run_id for run in deployment.instance.get_runs(filters=filters)]

    assert found(pims__phase="cases") == [outcome.run_id]
    assert found(**{"pims/clinic.birch": "yes"}) == [outcome.run_id]
    assert found(**{"pims/clinic.alder": "yes"}) == []


def test_a_run_of_selected_assets_is_tagged_with_its_phase(deployment: DagsterDeployment) -> None:
    register_clinics(deployment.instance, SLUGS)
    deployment.book("alder", days(0, 0))
    key = f"alder|{days(0, 0).start}"
    job = deployment.definitions.resolve_implicit_global_asset_job_def()
    run = job.execute_in_process(
        instance=deployment.instance,
        partition_key=key,
        asset_selection=[dg.AssetKey("appointments")],
    )
    assert run.success
    stored = deployment.instance.get_run_by_id(run.run_id)
    assert stored is not None
    assert (stored.tags["pims/phase"], stored.tags["pims/clinic"]) == ("inbound", "alder")


def test_numbers_are_stored_as_numbers_so_that_the_ui_plots_them(
    deployment: DagsterDeployment,
) -> None:
    deployment.book("alder", days(0, 0))
    deployment.sync("inbound_sync", ["alder"], days(0, 0))
    found = deployment.instance.fetch_materializations(dg.AssetKey("appointments"), limit=1)
    newest = found.records[0].asset_materialization
    assert newest is not None
    numbers = {
        name for name, value in newest.metadata.items() if isinstance(value, dg.IntMetadataValue)
    }
    assert numbers == {"found", "created", "duration_ms"}
