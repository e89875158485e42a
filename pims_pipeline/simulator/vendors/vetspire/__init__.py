"""Vetspire: one GraphQL address, keys that open the locations of an organisation, no login."""
