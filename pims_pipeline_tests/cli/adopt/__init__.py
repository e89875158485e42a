"""Tests of ``pims adopt``."""
