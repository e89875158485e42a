"""The suite over each broken provider; ``test_broken_providers`` runs one promise of each."""

from pims_pipeline.conformance.provider_suite import ProviderSuite
from pims_pipeline_tests.conformance import broken_paw_planners, broken_providers

BROKEN = [*broken_providers.BROKEN.items(), *broken_paw_planners.BROKEN.items()]
NODES = [f"TestBroken{number}::test_{promise}" for number, (promise, _) in enumerate(BROKEN)]
globals().update(
    {
        f"TestBroken{number}": type(
            f"TestBroken{number}", (ProviderSuite,), {"vendor_type": vendor}
        )
        for number, (_, (vendor, _)) in enumerate(BROKEN)
    }
)
