"""Where Dagster keeps its own tables: their schema, and the connections to it."""
