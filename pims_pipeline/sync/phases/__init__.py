"""The phases, one module each, and the audit around them. Plans live in ``domain/planning``."""
