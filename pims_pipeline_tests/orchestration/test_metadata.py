"""What Dagster is told: numbers and ids, traceable, and nothing about people."""

import dagster as dg

from pims_pipeline_tests.orchestration.conftest import (
    ASSETS,
    SECRET_PATIENT,
    SECRET_PHONE,
    House,
    days,
)


def test_a_partition_tells_its_counts_and_the_audit_behind_them(house: House) -> None:
    window = days(-1, 0)
    house.book("alder", window)
    house.vendors["alder"].delete(f"alder-{window.start}")
    outcome = house.sync("inbound_sync", ["alder"], window)
    (audit,) = outcome.audits
    (case,) = house.rows("SELECT id FROM cases")
    told = house.metadata("appointments", f"alder|{window.end}")
    duration = told.pop("duration_ms")
    assert isinstance(duration, int)
    assert told == {
        "found": 1,
        "created": 1,
        "audit_id": str(audit.id),
        "window": str(window),
        "window_changed_case_ids": [str(case.id)],
        "provenance": "`pims cases show ID` tells what happened to a case, when, and why",
    }
    empty = house.metadata("appointments", f"alder|{window.start}")
    assert empty["found"] == 0
    assert not {"window_changed_case_ids", "provenance"} & set(empty)


def test_nothing_that_dagster_keeps_names_people(house: House) -> None:
    window = days(-2, 1)
    for slug, vendor in house.vendors.items():
        house.book(slug, window)
        for visit in list(vendor.appointments.values()):
            vendor.put(
                type(visit)(
                    **{
                        **{name: getattr(visit, name) for name in type(visit).__slots__},
                        "patient": type(visit.patient)(id="p", name=SECRET_PATIENT),
                        "client": type(visit.client)(
                            id="c", name=SECRET_PATIENT, phone=SECRET_PHONE
                        ),
                        "notes": SECRET_PATIENT,
                    }
                )
            )
        vendor.record_visit(f"{slug}-{window.start}", notes=SECRET_PATIENT)
    house.vendors["cedar"].fail_next(KeyError(SECRET_PATIENT), "listing")
    outcome = house.sync("full_sync", ["alder", "birch", "cedar"], window)
    stored = house.rows("SELECT patient_name FROM cases LIMIT 1")
    assert [row.patient_name for row in stored] == [SECRET_PATIENT]
    kept = "\n".join(dg.serialize_value(entry) for entry in house.instance.all_logs(outcome.run_id))
    assert "alder" in kept
    assert SECRET_PATIENT not in kept
    assert SECRET_PHONE not in kept


def test_case_events_carry_the_run_and_the_partition(house: House) -> None:
    window = days(0, 0)
    house.book("birch", window)
    outcome = house.sync("inbound_sync", ["birch"], window)
    (event,) = house.rows("SELECT run_id, partition_key FROM case_events")
    assert event.run_id == outcome.run_id
    assert event.partition_key == f"birch|{window.start}"


def test_the_graph_tells_where_cases_come_from_and_go(house: House) -> None:
    graph = house.definitions.resolve_asset_graph()
    parents = {
        asset: {key.to_user_string() for key in graph.get(dg.AssetKey(asset)).parent_keys}
        for asset in (*ASSETS, "cases")
    }
    assert parents == {
        "appointments": {"vendor_diary"},
        "consultations": {"appointments", "vendor_consultations"},
        "reconciliation": {"appointments"},
        "cases": set(ASSETS),
    }
