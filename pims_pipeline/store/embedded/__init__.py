"""The embedded PostgreSQL, used when no database address is set."""
