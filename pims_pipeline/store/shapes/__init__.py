"""The shapes of vendors' responses: paths and JSON types by week, never values."""
