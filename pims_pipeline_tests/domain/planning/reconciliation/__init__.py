"""Tests of the reconciliation plan."""
