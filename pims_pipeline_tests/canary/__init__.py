"""Secrets and people's data appear where they belong, and in no log, event, alert or list."""
