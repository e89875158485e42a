"""What words mean at a clinic: the common ones, its vendor's, and its own.

Read inside the transaction that writes, so that two syncs never write by different words in turn.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.moments import FUTURE_TOLERANCE
from pims_pipeline.domain.records.clinic_words import LoggedChange, own_words, with_own_words
from pims_pipeline.domain.records.words import Words
from pims_pipeline.providers.registry import vendor_words
from pims_pipeline.store.cases.clinic_words import word_log, words_followed_at

VendorWords = Callable[[str], Words]
"""Returns what words mean at every clinic of a provider type."""


def words_of(connection: Connection, clinic: Clinic, vendor: VendorWords = vendor_words) -> Words:
    """What words mean at the clinic now."""
    return _words(vendor(clinic.provider_type), word_log(connection, clinic))


def words_since_sync(
    connection: Connection, clinic: Clinic, window: DateRange, vendor: VendorWords = vendor_words
) -> list[Words]:
    """What words meant at the clinic since its cases of the window last followed them.

    Newest first. A change of the clinic's words reaches its cases with the next sync; until then
    they rightly follow the words of before.
    """
    log = word_log(connection, clinic)
    common = vendor(clinic.provider_type)
    if not log:
        return [common]
    since = words_followed_at(connection, clinic, window)
    first = _changes_before(log, since) if since else 0
    return [_words(common, log[:count]) for count in range(len(log), first - 1, -1)]


def _changes_before(log: Sequence[LoggedChange], since: datetime) -> int:
    """How many changes every clock shows to be older."""
    return sum(each.changed_at < since - FUTURE_TOLERANCE for each in log)


def _words(common: Words, log: Sequence[LoggedChange]) -> Words:
    return with_own_words(common, own_words(each.change for each in log))
