"""Operators of the console: their accounts and passwords, and how they sign in."""
