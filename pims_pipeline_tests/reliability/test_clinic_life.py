"""A clinic's life drawn at random, checked by the oracle after every step.

Every program is a new clinic in the same database, with the same simulator reset.
CI plays 200 programs, 60 of them at Vetspire; a run by hand a quarter, so that it stays short;
``PIMS_SOAK=20`` plays 20 × 200 (``make soak``).
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from pims_pipeline.simulator.practice.clinics import Vendor
from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.rules.operators import OperatorRules
from pims_pipeline_tests.reliability.rules.pipeline import PipelineRules
from pims_pipeline_tests.reliability.rules.vendor import VendorRules
from pims_pipeline_tests.reliability.vendors.every_vendor import EVERY_VENDOR

SHARDS = {"idexx_neo": 7, "vetspire": 3}
"""How many parts of the programs each vendor has."""
PROGRAMS = 20 * int(os.environ.get("PIMS_SOAK", "1"))
"""Of a part."""
if not {"CI", "PIMS_SOAK"} & os.environ.keys():
    PROGRAMS //= 4
SETTINGS = settings(
    max_examples=PROGRAMS,
    stateful_step_count=30,
    deadline=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


class ClinicLife(VendorRules, OperatorRules, PipelineRules):
    """Everything that may happen to a clinic, in any order."""


@pytest.mark.parametrize(
    ("vendor", "shard"),
    [(vendor, shard) for vendor, count in SHARDS.items() for shard in range(count)],
)
def test_no_case_is_lost_whatever_happens_to_a_clinic(
    servers: SharedServers,
    vendor: Vendor,
    shard: int,  # noqa: ARG001 - splits the programs over workers
) -> None:
    class Life(ClinicLife):
        pass

    Life.servers, Life.at = servers, EVERY_VENDOR[vendor]
    run_state_machine_as_test(Life, settings=SETTINGS)
