"""Schedules: reading them, and what counts as a change."""
