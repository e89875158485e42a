"""Tests of the provider port's adapters, and the in-memory provider for other rooms' tests."""
