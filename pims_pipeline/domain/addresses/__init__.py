"""Addresses of PostgreSQL databases, as people copy them."""
