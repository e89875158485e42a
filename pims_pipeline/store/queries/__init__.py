"""Read models: what the CLI, the API and metrics read from the store. Nothing here writes."""
