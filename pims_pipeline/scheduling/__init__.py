"""Schedules: what they mean, which syncs are due, and which are overdue. Pure."""
