"""Vetspire's responses as domain values."""
