"""Tests of what is taken over from a v4.0 installation."""
