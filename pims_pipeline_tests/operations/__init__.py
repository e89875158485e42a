"""Tests of the operations, without a terminal."""
