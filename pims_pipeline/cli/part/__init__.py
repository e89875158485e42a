"""``pims part``: one part of the pipeline where an orchestrator starts the others."""
