"""Tests of alerts: when they start and end, and how people learn of them."""
