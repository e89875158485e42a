"""The REST API: FastAPI routes over the store and the Dagster UI; knows no settings."""
