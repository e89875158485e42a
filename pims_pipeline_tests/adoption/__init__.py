"""Tests of adopting a v4.0 installation; its two layouts are in ``layouts/``."""
