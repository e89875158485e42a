"""The phases against a real Postgres and a vendor in memory."""
