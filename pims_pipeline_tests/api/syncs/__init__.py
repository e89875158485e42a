"""Tests of syncs started and followed over the API."""
