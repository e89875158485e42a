"""Many records in one query, by aliases.

One unknown identity fails the whole query, so a query with errors is halved until the identity that
causes them is alone. What a record means belongs in ``parsing``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pims_pipeline.providers.vetspire.client import ReportedErrors
from pims_pipeline.providers.vetspire.documents import alias

FetchMany = Callable[[Sequence[str]], Mapping[str, object]]
"""The data of one query for the identities; raises ``ReportedErrors``."""


def rows_by_identity(
    identities: Sequence[str], size: int, fetch: FetchMany
) -> Iterator[tuple[str, object]]:
    """Each identity with its row; None is a record that the vendor does not know.

    An identity for which the vendor reports another error is left out.

    Args:
        identities: Each once.
        size: The most identities in one query.
        fetch: Sends one query.

    Raises:
        PimsError: From ``fetch``, except ``ReportedErrors``.
    """
    for first in range(0, len(identities), size):
        yield from _rows(identities[first : first + size], fetch)


def _rows(identities: Sequence[str], fetch: FetchMany) -> Iterator[tuple[str, object]]:
    try:
        data = fetch(identities)
    except ReportedErrors as error:
        if len(identities) == 1:
            if error.all_unknown:
                yield identities[0], None
            return
    else:
        for number, identity in enumerate(identities):
            if alias(number) in data:
                yield identity, data[alias(number)]
        return
    middle = len(identities) // 2
    yield from _rows(identities[:middle], fetch)
    yield from _rows(identities[middle:], fetch)
