"""Tests of the way to Postgres."""
