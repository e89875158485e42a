"""Hypothesis settings of the domain's tests: as many examples as a minute allows."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "pims",
    max_examples=60,
    stateful_step_count=30,
    # Hypothesis would repeat the same examples for ever where it finds itself in CI.
    derandomize=False,
    # A shared CI machine may pause at any time; no test here measures time.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("pims")
