"""Tests of ``pims demo``."""
