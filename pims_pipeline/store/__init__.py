"""Postgres: tables, migrations, and plain functions that take a Connection."""
