"""Tests of what Dagster stores, and of what that asks of the database."""
