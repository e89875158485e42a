"""The shapes that are kept of vendors' responses."""
