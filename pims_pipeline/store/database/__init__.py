"""Postgres: engine, transactions, migrations, locks, batches, leases.

No table lives here; the embedded server has a folder of its own.
"""
