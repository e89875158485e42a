"""Tests of reading the tables of a v4.0 installation."""
