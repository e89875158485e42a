"""Tests of the adapter to IDEXX Neo; what every provider promises is tested one level up."""
