"""The three phases: fetch, plan, apply. Knows neither Dagster nor FastAPI."""
