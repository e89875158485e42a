"""Encryption at rest: the vault, credentials, sessions, and changing the key."""
