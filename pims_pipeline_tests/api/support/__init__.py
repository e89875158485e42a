"""What the tests of the API share: a Dagster that does no work, clinics, clocks and keys."""
