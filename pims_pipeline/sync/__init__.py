"""The sync of a clinic: its phases, windows, sessions and results. Without Dagster and FastAPI."""
