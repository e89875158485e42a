"""Tests of what an operator sets up and decides, without a terminal."""
