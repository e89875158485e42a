"""The operators of the console as JSON."""
