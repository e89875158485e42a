"""Tests of reading Vetspire's responses."""
