"""Tests of what an adoption decides."""
