"""Logs that carry no personal data."""
