"""The phases, one module each, and the audit around them. Plans belong in ``domain/planning``."""
