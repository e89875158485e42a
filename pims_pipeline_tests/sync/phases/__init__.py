"""Tests of the phases."""
