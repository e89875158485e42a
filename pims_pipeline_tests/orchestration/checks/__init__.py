"""Tests of the asset checks."""
