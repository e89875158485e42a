"""Tests of everything Dagster, on real instances, the real phases and a real database."""
