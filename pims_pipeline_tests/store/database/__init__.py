"""Tests of engine, transactions, locks, roles and migrations."""
