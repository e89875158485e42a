"""Tests of ``pims keys``."""
