"""Searching the cases of an operator's clinics. Read-only.

The function ``pims_find_cases`` of the database finds the ids: under row-level security alone,
PostgreSQL would use none of the indexes, because their operators are not leakproof. It returns
ids of the operator's clinics alone; the rows are then read as the console's role reads any.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.console.search import CaseSearch
from pims_pipeline.domain.records.words import CaseStatus
from pims_pipeline.store.cases.metadata import SOFT_DELETED


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCase:
    """A case that a search found. Holds personal data: its repr shows none.

    Attributes:
        clinic: The clinic's slug.
        scheduled_start: Aware UTC; ``timezone`` is the clinic's.
    """

    id: UUID
    clinic: str
    timezone: str
    patient_name: str = field(repr=False)
    client_name: str = field(repr=False)
    client_phone: str | None = field(repr=False)
    pims_id: str | None
    scheduled_date: date
    scheduled_start: datetime | None
    status: CaseStatus
    is_retired: bool


def find_cases(connection: Connection, search: CaseSearch, most: int) -> list[FoundCase]:
    """The cases that match, those of the newest appointments first; at most ``most``."""
    rows = connection.execute(
        _FOUND,
        {
            "words": _tsquery(search),
            # Its index has the digits from the last to the first.
            "digits": search.phone_end[::-1] if search.phone_end else None,
            "pims_id": search.pims_id,
            "most": most,
        },
    )
    return [_case(row) for row in rows]


def _case(row: Row[*tuple[object, ...]]) -> FoundCase:
    facts = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    return FoundCase(status=CaseStatus(facts.pop("status")), **facts)


def _tsquery(search: CaseSearch) -> str | None:
    """All words as beginnings. A word holds no punctuation, so it cannot end the quotes."""
    return " & ".join(f"'{word}':*" for word in search.words) or None


_FOUND = text(
    f"""
    SELECT c.id, clinics.slug AS clinic, clinics.timezone, c.patient_name, c.client_name,
        c.client_phone, c.pims_id, c.scheduled_date, c.scheduled_start, c.status,
        {SOFT_DELETED} AS is_retired
    FROM cases AS c JOIN clinics ON clinics.id = c.clinic_id
    WHERE c.id = ANY (ARRAY(SELECT pims_find_cases(
        CAST(:words AS text), CAST(:digits AS text), CAST(:pims_id AS text),
        CAST(:most AS integer))))
    ORDER BY c.scheduled_date DESC, c.scheduled_start DESC NULLS LAST, c.id
    """  # noqa: S608 - fixed column list
)
