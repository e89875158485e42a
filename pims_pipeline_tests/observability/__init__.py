"""Tests of the logs and of what they may not say."""
