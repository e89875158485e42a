"""Fetching consultations, with the fields of assumed shape as long as the vendor accepts them."""

from collections.abc import Iterator, Mapping, Sequence

from pims_pipeline.providers.vetspire import documents
from pims_pipeline.providers.vetspire.batches import rows_by_identity
from pims_pipeline.providers.vetspire.client import ReportedErrors, VetspireClient
from pims_pipeline.providers.vetspire.parsing.consultation import WHAT
from pims_pipeline.providers.vetspire.parsing.data import violation

AT_ONCE = 10
"""Consultations in one query."""


class Consultations:
    """The consultations that a key opens; may be used by several threads at once."""

    def __init__(self, client: VetspireClient) -> None:
        self._client = client
        self._with_assumed = True

    def one(self, identity: str) -> object:
        """The row of a consultation; None if the vendor does not know it.

        Raises:
            PimsError: See ``VetspireClient.query``.
        """
        try:
            data = self._query([identity])
        except ReportedErrors as error:
            if error.all_unknown:
                return None
            raise
        if documents.alias(0) not in data:
            raise violation(WHAT, "data without the requested field")
        return data[documents.alias(0)]

    def many(self, identities: Sequence[str]) -> Iterator[tuple[str, object]]:
        """Each identity with its row; see ``rows_by_identity``."""
        return rows_by_identity(identities, AT_ONCE, self._query)

    def _query(self, identities: Sequence[str]) -> Mapping[str, object]:
        if self._with_assumed:
            try:
                return self._send(identities, with_assumed=True)
            except ReportedErrors as error:
                if not error.refuses_assumed:
                    raise
                self._with_assumed = False
        return self._send(identities, with_assumed=False)

    def _send(self, identities: Sequence[str], *, with_assumed: bool) -> Mapping[str, object]:
        return self._client.query(
            documents.encounters(len(identities), with_assumed=with_assumed),
            documents.identities(identities),
            what=WHAT if len(identities) == 1 else "several consultations",
        )
