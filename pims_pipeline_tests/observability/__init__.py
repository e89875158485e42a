"""Tests of the logs and of their redaction."""
