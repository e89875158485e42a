"""Tests of webhooks: what is delivered, to whom, and how often."""
