"""The tables of a v4.0 installation: each statement names their schema, because ours is another."""
