"""The base of errors whose message may be shown.

Audits, the Dagster UI and the terminal show the message of a ``UserFacingError``. Of any other
error they show only the class, because its message may quote personal data.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class UserFacingError(Exception):
    """An error whose message is written for users: what failed, why, and what to do.

    The message holds no personal data and no secret.
    """


class ExtraNotInstalled(UserFacingError):
    """A feature needs a package that only an extra of ours installs."""


@contextmanager
def needing_extra(extra: str, feature: str) -> Iterator[None]:
    """Import what only an extra installs inside the block.

    Args:
        extra: Its name in ``pyproject.toml``.
        feature: What needs it, at the beginning of a sentence.

    Raises:
        ExtraNotInstalled: If a module of the block does not exist.

    Example:
        with needing_extra("reports", "The daily report"):
            from pandas import DataFrame
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or extra).partition(".")[0]
        raise ExtraNotInstalled(
            f"{feature} needs the package {missing}, which is not installed. Install it with "
            f"the extra `{extra}`: pip install 'pims-pipeline[{extra}]'"
        ) from error
