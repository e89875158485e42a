"""The REST API: FastAPI routes over the store and Dagster's pages; knows no settings."""
