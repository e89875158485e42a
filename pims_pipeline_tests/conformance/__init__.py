"""Tests of the conformance kit, and of the built-in providers with it."""
