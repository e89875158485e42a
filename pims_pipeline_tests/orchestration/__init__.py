"""Tests of the code location on real Dagster instances, the real phases and a real database."""
