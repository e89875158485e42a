"""Addresses: of databases, and of vendors."""
