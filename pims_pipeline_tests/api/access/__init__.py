"""Tests of access to the API."""
