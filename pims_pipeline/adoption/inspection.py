"""What a v4.0 installation holds, and what adopting each of its clinics would do. Reads only.

Add here what an operator must know before adopting. What a clinic becomes is decided in
``domain/adoption/clinics.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.adoption.clinics import (
    AdoptionRefused,
    ClinicAnswers,
    ImportedSchedule,
    facts_of,
    schedule_from,
)
from pims_pipeline.domain.adoption.importing import Duplicate, resolve_duplicates
from pims_pipeline.domain.adoption.v4 import (
    AdoptionMode,
    Layout,
    V4Clinic,
    V4Credentials,
    V4Schedule,
)
from pims_pipeline.store.adoptions import all_adoptions, names_taken, tables_exist
from pims_pipeline.store.clinics import all_clinics
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.all import metadata
from pims_pipeline.store.v4.clinics import SCHEDULE_TABLE, clinics_of, schedule_of
from pims_pipeline.store.v4.counting import (
    CaseCount,
    SyncCount,
    case_counts,
    duplicate_candidates,
    sync_counts,
)
from pims_pipeline.store.v4.credentials import CREDENTIALS_TABLE, newest_credentials_of
from pims_pipeline.store.v4.installation import (
    Installation,
    find_installation,
    read_only,
    require_rights,
)
from pims_pipeline.store.v4.references import reference_counts

_SAID_LATER = "https://said-later.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicInspection:
    """A clinic of the installation.

    Attributes:
        cases: By source and status.
        duplicates: Appointments for which it has several cases.
        left_out: Cases that are not linked because another one of their appointment is.
        last_sync: When a sync of the v4.0 service last completed.
        syncs_in_progress: Audits that never ended; they are not imported.
        schedule: As it would be imported.
        target_room_id: The room that its syncs are limited to, if any.
        key_id: Of the key that its credentials are encrypted with; None without credentials.
        notes: What would be assumed.
        to_say: What must be said before it can be adopted, or be put right.
        mode: None unless it is adopted already.
    """

    clinic: V4Clinic
    cases: tuple[CaseCount, ...]
    duplicates: int
    left_out: int
    last_sync: datetime | None
    syncs_in_progress: int
    schedule: ImportedSchedule
    target_room_id: str | None
    key_id: str | None
    notes: tuple[str, ...]
    to_say: tuple[str, ...]
    mode: AdoptionMode | None

    @property
    def importable(self) -> int:
        """How many cases would be imported: one for each appointment."""
        return sum(count.of_appointments for count in self.cases) - self.left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A v4.0 installation.

    Attributes:
        without_clinic: Cases that belong to no clinic; none of them is imported.
        names_taken: Names of our tables that other tables have where ours are to be made; empty
            once ours are there.
        is_migrated: Whether our tables are there.
    """

    layout: Layout
    schema: str
    clinics: tuple[ClinicInspection, ...]
    without_clinic: int
    names_taken: tuple[str, ...]
    is_migrated: bool


@dataclass(frozen=True, slots=True)
class _OurSide:
    """What is here already: the ids of our clinics by slug, and the modes of adopted ones."""

    slugs: dict[str, UUID]
    modes: dict[UUID, AdoptionMode]


@dataclass(frozen=True, slots=True)
class _Overall:
    """What is read once for all clinics."""

    installation: Installation
    counts: Sequence[CaseCount]
    syncs: Mapping[UUID | None, SyncCount]
    ours: _OurSide


def inspect_installation(engine: Engine, schema: str) -> Inspection:
    """What the v4.0 installation in that schema holds, in a transaction that only reads.

    Raises:
        NotAV4Installation: If the schema has neither layout.
        MissingRight: If the login may not read a table of theirs.
    """
    with transaction(engine) as connection:
        read_only(connection)
        return _inspected(connection, find_installation(connection, schema))


def tables_read(installation: Installation) -> dict[str, Sequence[str]]:
    """The tables of theirs that inspecting and adopting read, with the right for it."""
    layout = installation.layout
    names = ("clinics", "cases", "patients", SCHEDULE_TABLE[layout], CREDENTIALS_TABLE[layout])
    return dict.fromkeys(names, ("SELECT",))


def _inspected(connection: Connection, installation: Installation) -> Inspection:
    require_rights(
        connection, installation, {**tables_read(installation), "case_sync_audits": ("SELECT",)}
    )
    counts = case_counts(connection, installation)
    syncs = {each.clinic_id: each for each in sync_counts(connection, installation)}
    is_migrated = tables_exist(connection)
    ours = _our_side(connection) if is_migrated else _OurSide({}, {})
    overall = _Overall(installation, counts, syncs, ours)
    return Inspection(
        layout=installation.layout,
        schema=installation.schema,
        clinics=tuple(
            _clinic(connection, clinic, overall) for clinic in clinics_of(connection, installation)
        ),
        without_clinic=sum(each.cases for each in counts if each.clinic_id is None),
        names_taken=() if is_migrated else tuple(names_taken(connection, sorted(metadata.tables))),
        is_migrated=is_migrated,
    )


def _our_side(connection: Connection) -> _OurSide:
    return _OurSide(
        {clinic.slug: clinic.id for clinic in all_clinics(connection)},
        {each.their_clinic_id: each.mode for each in all_adoptions(connection)},
    )


def _clinic(connection: Connection, clinic: V4Clinic, overall: _Overall) -> ClinicInspection:
    installation, syncs = overall.installation, overall.syncs.get(clinic.id)
    schedule = schedule_of(connection, installation, clinic.id)
    credentials = newest_credentials_of(connection, installation, clinic.id)
    duplicates = duplicates_of(connection, installation, clinic.id)
    notes, to_say = _assumed(clinic, overall, schedule, credentials)
    return ClinicInspection(
        clinic=clinic,
        cases=tuple(each for each in overall.counts if each.clinic_id == clinic.id),
        duplicates=len(duplicates),
        left_out=sum(len(each.others) for each in duplicates),
        last_sync=syncs.last_completed if syncs else None,
        syncs_in_progress=syncs.in_progress if syncs else 0,
        schedule=schedule_from(schedule),
        target_room_id=schedule.target_room_id if schedule else None,
        key_id=credentials.key_id if credentials else None,
        notes=notes,
        to_say=to_say,
        mode=overall.ours.modes.get(clinic.id),
    )


def duplicates_of(
    connection: Connection, installation: Installation, clinic_id: UUID
) -> list[Duplicate]:
    """The appointments of the clinic that have several cases, with the one that is linked.

    Raises:
        MissingRight: If the login may not read a table that refers to cases.
    """
    candidates = list(duplicate_candidates(connection, installation, clinic_id))
    references = reference_counts(connection, installation, [each.id for each in candidates])
    return resolve_duplicates(candidates, references)


def _assumed(
    clinic: V4Clinic,
    overall: _Overall,
    schedule: V4Schedule | None,
    credentials: V4Credentials | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What would be assumed about the clinic, and what must be said first."""
    notes: tuple[str, ...] = ()
    to_say: list[str] = []
    try:
        notes = facts_of(
            clinic,
            overall.installation.layout,
            schedule,
            ClinicAnswers(base_url=_SAID_LATER),
            credentials_for=credentials.provider_type if credentials else None,
        ).notes
    except AdoptionRefused as error:
        to_say.append(str(error))
    if credentials is None:
        to_say.append("it has no active credentials: adopt it with --without-credentials")
    namesake = overall.ours.slugs.get(clinic.slug or "")
    if namesake not in {None, clinic.id}:
        to_say.append(f"another clinic here is called {clinic.slug!r}: say another with --slug")
    return notes, tuple(to_say)
