"""Read models: what syncs, the CLI, the API and metrics read. Nothing here writes."""
