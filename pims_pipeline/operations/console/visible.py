"""What an operator may not see does not exist for the console: one error for both."""

from collections.abc import Iterator
from contextlib import contextmanager

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.clinics import UnknownClinic
from pims_pipeline.store.queries.case_history import UnknownCase


class NotVisible(UserFacingError):
    """There is no such clinic or case, or none that the operator may see."""


@contextmanager
def visible_only() -> Iterator[None]:
    """Turn errors about unknown clinics and cases into ``NotVisible``.

    Raises:
        NotVisible: If the clinic or case does not exist among the operator's.
    """
    try:
        yield
    except UnknownClinic:
        raise NotVisible("There is no such clinic among yours.") from None
    except UnknownCase:
        raise NotVisible("There is no such case at your clinics.") from None
