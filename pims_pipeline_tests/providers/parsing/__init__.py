"""Tests of the readers that vendors share."""
