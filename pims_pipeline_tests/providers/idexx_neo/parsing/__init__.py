"""Tests of reading the responses of IDEXX Neo."""
