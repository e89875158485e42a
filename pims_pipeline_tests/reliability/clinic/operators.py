"""The users' and operators' side: edits of cases in the application, and decisions on holds."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.records.clinic_words import WordChange
from pims_pipeline.domain.records.resources import ALL_RESOURCES, ResourceFilter
from pims_pipeline.domain.records.words import CaseStatus, WordKind, plain_word
from pims_pipeline.operations.words import change_words
from pims_pipeline.providers.registry import vendor_words
from pims_pipeline.store.clinics import clinic_by_slug, set_resources
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import LockTimeout
from pims_pipeline.store.holds import reject, waiting_hold
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline_tests.reliability.clinic.state import RETIRED, ClinicState


@dataclass(frozen=True, slots=True)
class UserEdit:
    """A value that a user set on a case.

    Attributes:
        after_seq: The case's last event at that time.
        vendor_status: What the vendor's status meant when it was last stored.
        since: The start of the edit's step; syncs in it may have fetched earlier.
        active: Whether the case was not soft-deleted at that time.
    """

    case_id: UUID
    pims_id: str
    column: str
    value: str
    after_seq: int
    vendor_status: CaseStatus
    since: datetime
    active: bool


@dataclass(frozen=True, slots=True)
class Overwrite:
    """A value that the application wrote over our part of a case's metadata.

    Attributes:
        after_seq: The case's last event at that time.
        forgets: The fields, by their first word, that a replay must drop.
    """

    case_id: UUID
    after_seq: int
    forgets: tuple[str, ...]


OVERWRITES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "null": ("'null'", ("appointment", "consultation")),
    "words": ("'\"x\"'", ("appointment", "consultation")),
    "list": ("'[\"consultation\"]'", ("appointment", "consultation")),
    "appointment": ('metadata || \'{"appointment": "text"}\'', ("appointment",)),
    "consultation": ("metadata || '{\"consultation\": []}'", ("consultation",)),
    "reconciliation": ('metadata || \'{"reconciliation": "x"}\'', ()),
}
"""By name: the SQL that metadata is set to, and the fields that this removes."""


@dataclass
class OperatorSide(ClinicState):
    """Edits of cases, and decisions on holds.

    Attributes:
        foreign: By case, the application's own keys in its metadata.
        filters: The choices of rooms after the first one, which is all, and when each was made.
        own_words: What the clinic's own words meant after each change of them, and when.
    """

    edits: list[UserEdit] = field(default_factory=list)
    rejections: list[tuple[datetime, frozenset[UUID]]] = field(default_factory=list)
    overwrites: list[Overwrite] = field(default_factory=list)
    foreign: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    filters: list[tuple[datetime, ResourceFilter]] = field(default_factory=list)
    own_words: list[tuple[datetime, Mapping[str, CaseStatus]]] = field(default_factory=list)

    def user_sets(self, pims_id: str, column: str, value: str) -> bool:
        """A user changes ``status`` or ``case_type``; False when a sync has the case locked."""
        statement = (
            f"UPDATE cases SET {column} = :value "  # noqa: S608 - two fixed columns
            "WHERE clinic_id = :clinic_id AND pims_id = :pims_id RETURNING id, "
            "(SELECT meant_status FROM pims_appointments AS a WHERE a.pims_id = "
            f"cases.pims_id AND a.clinic_id = cases.clinic_id) AS meant, {RETIRED} AS retired, "
            "(SELECT coalesce(max(seq), 0) FROM case_events WHERE case_id = cases.id) AS seq"
        )
        row = self._edit_case(statement, pims_id=pims_id, value=value)
        if row is None:
            return False
        meant, active = CaseStatus(row.meant), not row.retired
        self.edits.append(
            UserEdit(row.id, pims_id, column, value, row.seq, meant, self.step_began, active)
        )
        return True

    def user_notes(self, pims_id: str, key: str, value: object) -> bool:
        """The application adds a key of its own to a case's metadata."""
        row = self._edit_case(
            "UPDATE cases SET metadata = metadata || CAST(:note AS jsonb) "
            "WHERE clinic_id = :clinic_id AND pims_id = :pims_id "
            "AND jsonb_typeof(metadata) = 'object' RETURNING id",
            pims_id=pims_id,
            note=json.dumps({key: value}),
        )
        if row is None:
            return False
        self.foreign.setdefault(row.id, {})[key] = value
        return True

    def overwrite_metadata(self, pims_id: str, how: str) -> bool:
        """The application writes over our part of an active case's metadata."""
        value, forgets = OVERWRITES[how]
        row = self._edit_case(
            f"UPDATE cases SET metadata = {value} "  # noqa: S608 - fixed expressions
            "WHERE clinic_id = :clinic_id AND pims_id = :pims_id "
            f"AND jsonb_typeof(metadata) = 'object' AND NOT {RETIRED} RETURNING id, "
            "(SELECT coalesce(max(seq), 0) FROM case_events WHERE case_id = cases.id) AS seq",
            pims_id=pims_id,
        )
        if row is None:
            return False
        self.overwrites.append(Overwrite(row.id, row.seq, forgets))
        if "metadata" not in value:
            self.foreign.pop(row.id, None)
        return True

    def _edit_case(self, statement: str, **parameters: object) -> Row[Any] | None:
        hook, self.servers.on_statement = self.servers.on_statement, None
        try:
            with transaction(self.servers.engine, lock_seconds=0.02) as connection:
                given = {"clinic_id": self.clinic.id, **parameters}
                return connection.execute(text(statement), given).one_or_none()
        except LockTimeout:
            return None  # a sync in this thread has locked the case
        finally:
            self.servers.on_statement = hook

    def choose_rooms(self, resources: ResourceFilter) -> None:
        """An operator chooses which rooms are synced."""
        with transaction(self.servers.engine) as connection:
            set_resources(connection, self.clinic, resources)
            self.clinic = clinic_by_slug(connection, self.clinic.slug)
        self.date_registration()
        self.filters.append((self.servers.clock(), resources))

    def filters_between(self, since: datetime, until: datetime) -> list[ResourceFilter]:
        """The choice at ``since``, and every later one up to ``until``."""
        chosen = [(datetime.min.replace(tzinfo=UTC), ALL_RESOURCES), *self.filters]
        before = [resources for at, resources in chosen if at <= since]
        return [before[-1], *(resources for at, resources in chosen if since < at <= until)]

    def chooses_word(self, word: str, meaning: CaseStatus | None) -> None:
        """An operator says what a status word of the clinic means; None: what it means to all."""
        known = dict(self.own_words[-1][1]) if self.own_words else {}
        if known.pop(plain_word(word), None) is meaning:
            return
        change = WordChange(WordKind.STATUS, plain_word(word), meaning)
        change_words(self.servers.engine, self.clinic.slug, [change], changed_by="Sam")
        if meaning is not None:
            known[plain_word(word)] = meaning
        self.own_words.append((self.servers.clock(), known))

    def status_of(self, word: str) -> CaseStatus:
        """What a status word of the vendor means at the clinic now."""
        (meaning,) = self.meanings_since(self.servers.clock(), [word])
        return meaning

    def meanings_since(self, since: datetime, words: Iterable[str]) -> set[CaseStatus]:
        """What these status words have meant at the clinic since then."""
        before = [each for each in self.own_words if each[0] <= since]
        after = [each for each in self.own_words if each[0] > since]
        own_at_times = [dict(before[-1][1]) if before else {}, *(dict(own) for _, own in after)]
        vendor = vendor_words(self.at.name)
        return {
            own.get(plain_word(word)) or vendor.status_of(word) or CaseStatus.DRAFT
            for own in own_at_times
            for word in words
        }

    def store_credentials_again(self) -> None:
        """An operator stores the credentials, which the vendor accepts, once more."""
        vault, fields = self.servers.vault, self.company.credential_fields
        with transaction(self.servers.engine) as connection:
            put_credentials(connection, vault, self.clinic, fields)

    def credentials_are_refused(self) -> bool:
        """Whether they are not tried any more."""
        rows = self.rows("SELECT status FROM pims_credentials WHERE clinic_id = %(clinic_id)s")
        return [row.status for row in rows] == [CredentialStatus.INVALID]

    def ever_rejected(self) -> frozenset[UUID]:
        """The cases that an operator ever kept."""
        return frozenset(case_id for _, case_ids in self.rejections for case_id in case_ids)

    def reject(self, hold_id: UUID) -> None:
        """An operator decides that a hold's cases stay."""
        with transaction(self.servers.engine) as connection:
            hold, now = waiting_hold(connection, hold_id), self.servers.clock()
            reject(connection, hold, decided_by="Sam", now=now)
        self.rejections.append((now, hold.case_ids))

    def kept(self) -> set[str]:
        """The appointments of cases that an operator kept, and that no later listing contained."""
        seen = self.rows(
            "SELECT c.id, c.pims_id, a.last_seen_at FROM cases AS c "
            "JOIN pims_appointments AS a USING (clinic_id, provider_type, pims_id) "
            "WHERE c.clinic_id = %(clinic_id)s"
        )
        return {
            row.pims_id
            for row in seen
            for decided_at, case_ids in self.rejections
            if row.id in case_ids and row.last_seen_at <= decided_at
        }
