"""Tests of `pims webhooks`."""
