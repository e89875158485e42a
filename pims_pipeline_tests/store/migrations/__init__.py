"""Tests of the schema that our tables go into."""
