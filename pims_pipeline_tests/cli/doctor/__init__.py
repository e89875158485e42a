"""``pims doctor`` as a command: its table, its JSON, its exit status."""
