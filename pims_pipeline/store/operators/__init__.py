"""Operators of the console as rows: accounts, sign-ins, attempts, and the log of what they did."""
