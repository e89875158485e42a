"""Tests of ``pims clinics``."""
