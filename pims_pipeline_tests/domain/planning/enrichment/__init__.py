"""Tests of the enrichment plan."""
