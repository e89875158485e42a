"""Tests of the adapter to Vetspire."""
