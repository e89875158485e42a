"""The way to Postgres: engine, transactions, locks, batches, the embedded server. No table lives here."""
