"""The REST API: FastAPI routes over the store and Dagster's webserver; reads no settings."""
