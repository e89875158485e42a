"""What probes and Prometheus read: readiness, scrapes, the state of Dagster."""
