"""Read models: what syncs, the CLI, the API and metrics read from the store. Nothing here writes."""
