"""Each phase keeps what its vendor sent, in the transaction that ends it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, time
from threading import Barrier

import pytest
from sqlalchemy.exc import IntegrityError

from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.domain.records.shapes import Endpoint, FieldShape, Shapes, shapes_of
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline_tests.sync.bench import DAY, Bench

NINE = datetime.combine(DAY, time(9))
LISTED = shapes_of(Endpoint.LISTING, [{"id": 1, "tier": "x"}, {"id": 2, "tier": "y"}], {"id"})
NOTED = shapes_of(Endpoint.CONSULTATION, {"id": 1, "remarks": "x"}, {"id"})


def kept(bench: Bench) -> dict[str, int]:
    rows = bench.rows("SELECT path, json_type, sum(seen) AS seen FROM vendor_shapes GROUP BY 1, 2")
    return {f"{row.path} {row.json_type}": int(row.seen) for row in rows}


def violation(shapes: Shapes) -> ContractViolation:
    error = ContractViolation("not what it promises")
    error.shapes = shapes
    return error


def test_a_listing_s_shapes_are_kept_with_confirmed_names(bench: Bench) -> None:
    bench.vendor.listing_shapes = LISTED
    bench.inbound()
    assert kept(bench) == {
        "listing array": 1,
        "listing[] object": 2,
        "listing[].id number": 2,
        "listing[].tier string": 2,
    }


def test_two_syncs_of_a_clinic_at_once_lose_no_count(bench: Bench) -> None:
    bench.vendor.listing_shapes = LISTED
    together = Barrier(2)
    bench.inbound()

    def wait_for_the_other(_: object) -> None:
        together.wait()

    bench.vendor.on_request = wait_for_the_other
    with ThreadPoolExecutor(2) as threads:
        syncs = [threads.submit(bench.in_run(each).inbound) for each in ("one", "two")]
        for each in syncs:
            each.result()
    assert kept(bench)["listing[] object"] == 2 * 3


def test_a_phase_that_writes_nothing_keeps_no_shapes(bench: Bench) -> None:
    bench.vendor.listing_shapes = LISTED
    bench.vendor.book("a", NINE)
    bench.run("ALTER TABLE cases ADD CHECK (patient_name = '') NOT VALID")
    with pytest.raises(IntegrityError):
        bench.inbound()
    assert kept(bench) == {}


def test_a_wrong_shape_of_an_adapter_costs_no_sync(bench: Bench) -> None:
    bench.vendor.listing_shapes = (
        *LISTED,
        FieldShape("listing", "no such type"),
        FieldShape("listing[].ann@example.test", "string"),
        FieldShape("listing" + ".id" * 200, "string"),
        FieldShape("listing[].id", "number", 0),
        FieldShape("", "object"),
    )
    bench.inbound()
    assert len(kept(bench)) == len(LISTED)


def test_a_listing_that_is_refused_shows_its_shapes(bench: Bench) -> None:
    bench.vendor.fail_next(violation(LISTED), "listing")
    with pytest.raises(ContractViolation):
        bench.inbound()
    assert kept(bench)["listing[].tier string"] == 2


def test_consultations_are_counted_also_where_one_is_refused(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        bench.vendor.book(name, NINE, consultation_id=f"k-{name}")
        found = PimsConsultation(appointment_id=name, consultation_id=f"k-{name}")
        bench.vendor.consultations[f"k-{name}"] = replace(found, shapes=NOTED)
    bench.vendor.broken_consultations["k-c"] = violation(NOTED)
    bench.inbound()
    assert bench.enrich().counts.errored == 1
    assert kept(bench) == {
        "consultation object": 3,
        "consultation.id number": 3,
        "consultation.remarks string": 3,
    }
