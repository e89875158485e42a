"""Tests of ``pims up``."""
