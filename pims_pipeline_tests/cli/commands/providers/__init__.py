"""Tests of ``pims providers``."""
