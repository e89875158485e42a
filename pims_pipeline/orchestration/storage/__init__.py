"""Dagster's own storage in Postgres: how it is connected to, and what it sends."""
