"""Everything Dagster, one file per Dagster noun."""
