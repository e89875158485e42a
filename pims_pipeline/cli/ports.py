"""The ports at which the parts of the pipeline listen by default; imports nothing."""

API_PORT = 8000
"""The REST API."""
UI_PORT = 3000
"""The Dagster UI."""
CODE_PORT = 4000
"""The code server, where other machines reach it."""
