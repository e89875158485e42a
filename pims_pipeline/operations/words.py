"""What a clinic's own status and type words mean: showing and changing it.

What words mean belongs in ``domain/records/words.py``; the next sync of a date applies a change.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.clinic_words import (
    LoggedChange,
    WordChange,
    effective,
    own_words,
)
from pims_pipeline.domain.records.word_uses import WordUse, word_uses
from pims_pipeline.domain.records.words import WordKind
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.providers.registry import vendor_words
from pims_pipeline.store.cases.clinic_words import lock_words, log_words, seen_words, word_log
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordOverview:
    """A clinic's words.

    Attributes:
        uses: Those of its known appointments, and its own.
        last_changes: Of its own words, by kind and word as comparisons write it.
        changed: How many of its own words were changed now.
    """

    clinic: Clinic
    uses: Sequence[WordUse]
    last_changes: dict[tuple[WordKind, str], LoggedChange]
    changed: int = 0


def show_words(engine: Engine, slug: str) -> WordOverview:
    """The words of the clinic's landed appointments and its own, with what they mean.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        return _overview(connection, clinic_by_slug(connection, slug))


def change_words(
    engine: Engine, slug: str, wanted: Sequence[WordChange], *, changed_by: str
) -> WordOverview:
    """Change what the clinic's own words mean; what is so already changes nothing.

    Args:
        engine: The database of cases.
        slug: The clinic's.
        wanted: The changes.
        changed_by: The operator, for the record.

    Raises:
        UnknownClinic: If the clinic does not exist.
        BadWord: If a change contradicts another, or removes what is not there.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        lock_words(connection, clinic)
        own = own_words(each.change for each in word_log(connection, clinic))
        changes = effective(own, wanted)
        log_words(connection, clinic, changes, changed_by)
        overview = _overview(connection, clinic, changed=len(changes))
    if changes:
        log.info("words_changed", clinic=slug, words=len(changes))
    return overview


def _overview(connection: Connection, clinic: Clinic, changed: int = 0) -> WordOverview:
    changes = word_log(connection, clinic)
    own = own_words(each.change for each in changes)
    newest = {(each.change.kind, each.change.word): each for each in changes}
    return WordOverview(
        clinic=clinic,
        uses=word_uses(seen_words(connection, clinic), vendor_words(clinic.provider_type), own),
        last_changes={key: newest[key] for key in own},
        changed=changed,
    )
