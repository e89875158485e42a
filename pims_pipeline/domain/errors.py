"""The base of errors whose message may be shown.

Audits, the Dagster UI and the terminal show the message of a ``UserFacingError``. Of any other
error they show only the class, because its message may quote personal data.
"""


class UserFacingError(Exception):
    """An error whose message is written for users: what failed, why, and what to do.

    The message holds no personal data and no secret.
    """
