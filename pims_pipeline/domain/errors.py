"""Errors that speak for themselves.

Which errors may be shown is decided once, where they are defined: audits, Dagster's pages
and the terminal show the message of an ``UserFacingError`` error, and of any other only its kind,
because it may quote what it stumbled over.
"""


class UserFacingError(Exception):
    """An error whose message says what happened and what to do, and may be shown to anyone.

    It carries no personal data and no secret.
    """
