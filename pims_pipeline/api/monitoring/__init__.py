"""Readiness for probes, metrics for Prometheus, and the state of Dagster that both need."""
