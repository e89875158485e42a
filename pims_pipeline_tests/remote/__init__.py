"""Databases that others run: TLS, poolers."""
