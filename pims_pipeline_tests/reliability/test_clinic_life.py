"""A clinic's life drawn at random, checked by the oracle after every step.

Every program is a new clinic in the same database, with the same simulator reset.
CI plays 200 programs, a run by hand a quarter of them, so that it stays short;
``PIMS_SOAK=20`` plays 20 × 200 (``make soak``).
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.rules.operators import OperatorRules
from pims_pipeline_tests.reliability.rules.pipeline import PipelineRules
from pims_pipeline_tests.reliability.rules.vendor import VendorRules

SHARDS = 10
PROGRAMS = 200 * int(os.environ.get("PIMS_SOAK", "1"))
if not {"CI", "PIMS_SOAK"} & os.environ.keys():
    PROGRAMS //= 4
SETTINGS = settings(
    max_examples=PROGRAMS // SHARDS,
    stateful_step_count=30,
    deadline=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


class ClinicLife(VendorRules, OperatorRules, PipelineRules):
    """Everything that may happen to a clinic, in any order."""


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_case_is_lost_whatever_happens_to_a_clinic(servers: SharedServers, shard: int) -> None:  # noqa: ARG001 - splits the programs over workers
    class Life(ClinicLife):
        pass

    Life.servers = servers
    run_state_machine_as_test(Life, settings=SETTINGS)
