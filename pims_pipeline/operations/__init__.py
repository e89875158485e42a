"""Operators' actions and views, without a terminal. Each function opens its own transaction."""
