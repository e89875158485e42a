"""What an operator may not see does not exist for the console: one error for both."""

from collections.abc import Iterator
from contextlib import contextmanager

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.clinics import UnknownClinic
from pims_pipeline.store.failures import UnknownFailure
from pims_pipeline.store.holds import UnknownHold
from pims_pipeline.store.queries.case_history import UnknownCase


class NotVisible(UserFacingError):
    """There is no such thing, or none that the operator may see."""


@contextmanager
def visible_only() -> Iterator[None]:
    """Turn errors about what does not exist into ``NotVisible``.

    Raises:
        NotVisible: If it does not exist at the operator's clinics.
    """
    try:
        yield
    except UnknownClinic:
        raise NotVisible("There is no such clinic among yours.") from None
    except UnknownCase:
        raise NotVisible("There is no such case at your clinics.") from None
    except UnknownHold:
        raise NotVisible("There is no such hold at your clinics.") from None
    except UnknownFailure:
        raise NotVisible("There is no such failure at your clinics.") from None
