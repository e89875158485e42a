"""Tests of the inbound plan."""
