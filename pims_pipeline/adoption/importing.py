"""Adopt one clinic of a v4.0 installation: import it with its cases, in one transaction.

Their tables are only read. Again, it imports what is new there and changes nothing that is here.
What is decided about a clinic, a schedule or a case belongs in ``domain/adoption``.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from pims_pipeline.adoption.cases import CaseTally, Progress, adopt_cases
from pims_pipeline.adoption.inspection import tables_read
from pims_pipeline.domain.adoption.clinics import (
    AdoptionRefused,
    ClinicAnswers,
    ClinicRegistration,
    ImportedSchedule,
    clinic_named,
    facts_of,
    schedule_from,
)
from pims_pipeline.domain.adoption.v4 import (
    AdoptionMode,
    V4Clinic,
    V4Credentials,
    V4Schedule,
)
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.resources import ResourceFilter, ResourceKind
from pims_pipeline.domain.schedules import OFF, ScheduleConfig
from pims_pipeline.scheduling.cron import BadCron, parse_schedule
from pims_pipeline.store.adoptions import (
    Adoption,
    add_adoption,
    adoption_of,
    log_step,
)
from pims_pipeline.store.clinics import (
    add_clinic,
    all_clinics,
    clinic_by_id,
    set_resources,
    set_schedule_config,
)
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.secrets.credentials import credential_status, put_credentials
from pims_pipeline.store.secrets.v4_credentials import PasswordOf, decrypted_v4_login
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.v4.clinics import clinics_of, schedule_of
from pims_pipeline.store.v4.credentials import newest_credentials_of
from pims_pipeline.store.v4.installation import (
    Installation,
    find_installation,
    read_only,
    require_rights,
)

CASES_AT_ONCE = 1_000
RUN = "run"
"""The step in the log of adoptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionRequest:
    """What to adopt.

    Attributes:
        schema: Where their tables are.
        clinic: The clinic's slug or id there.
        answers: What they do not store, or store wrongly.
        with_credentials: Whether the login is imported; without, it is entered by hand.
        dry_run: Whether nothing is written.
    """

    schema: str
    clinic: str
    answers: ClinicAnswers
    with_credentials: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionResult:
    """What was done, or in a dry run would be.

    Attributes:
        is_new: Whether the clinic was not adopted before.
        has_login: Whether the login was imported.
        crons: The schedule here, by phase.
        target_room_id: The room that the v4.0 service limits the clinic's syncs to, if any.
        notes: What was assumed or left out.
    """

    clinic: Clinic
    installation: Installation
    is_new: bool
    cases: CaseTally
    has_login: bool
    crons: dict[Phase, str]
    target_room_id: str | None
    notes: tuple[str, ...]

    @property
    def changes(self) -> bool:
        """Whether anything is written."""
        return self.is_new or self.has_login or bool(self.cases.imported or self.cases.linked)


@dataclass(frozen=True, slots=True)
class _Theirs:
    """The clinic as they have it, its cases aside."""

    installation: Installation
    clinic: V4Clinic
    schedule: V4Schedule | None
    credentials: V4Credentials | None


def adopt(
    engine: Engine,
    request: AdoptionRequest,
    *,
    vault: Vault,
    password_of: PasswordOf,
    progress: Progress,
) -> AdoptionResult:
    """Adopt the clinic, in mode ``shadow``.

    Args:
        engine: On the database that holds their tables and ours.
        request: What to adopt.
        vault: Encrypts the login for us.
        password_of: Returns the environment variables with their keys, by name.
        progress: Called for each thousand of their cases.

    Raises:
        AdoptionRefused: If something must be said or put right first.
        ClinicExists: If the slug is taken here.
        LockTimeout: If the clinic is being adopted by another process.
        MissingRight: If the login may not read a table of theirs.
        NotAV4Installation: If the schema has neither layout.
        UnknownV4Clinic: If they have no such clinic.
        V4KeyMissing, V4Undecryptable: If the login cannot be decrypted.
    """
    with transaction(engine) as connection:
        if request.dry_run:
            read_only(connection)
        theirs = _theirs(connection, request)
        if not request.dry_run:
            lock_clinic(connection, theirs.clinic.id)
        known = adoption_of(connection, theirs.clinic.id)
        login = _login(connection, request, theirs, known, password_of)
        if known is None:
            clinic, crons, notes = _registered(connection, request, theirs)
        else:
            clinic, crons, notes = _known(connection, theirs, known)
        cases = adopt_cases(
            connection, theirs.installation, clinic, progress, dry_run=request.dry_run
        )
        if login is not None and not request.dry_run:
            put_credentials(connection, vault, clinic, login)
        result = AdoptionResult(
            clinic=clinic,
            installation=theirs.installation,
            is_new=known is None,
            cases=cases,
            has_login=login is not None,
            crons=crons,
            target_room_id=theirs.schedule.target_room_id if theirs.schedule else None,
            notes=notes,
        )
        if not request.dry_run and result.changes:
            log_step(connection, RUN, _details(result), clinic_id=clinic.id)
        return result


def _theirs(connection: Connection, request: AdoptionRequest) -> _Theirs:
    installation = find_installation(connection, request.schema)
    require_rights(connection, installation, tables_read(installation))
    clinic = clinic_named(clinics_of(connection, installation), request.clinic)
    return _Theirs(
        installation,
        clinic,
        schedule_of(connection, installation, clinic.id),
        newest_credentials_of(connection, installation, clinic.id),
    )


def _login(
    connection: Connection,
    request: AdoptionRequest,
    theirs: _Theirs,
    known: Adoption | None,
    password_of: PasswordOf,
) -> dict[str, str | None] | None:
    """The login to store; None if none is wanted, or one is stored here already."""
    if not request.with_credentials:
        return None
    if known is not None:
        clinic = clinic_by_id(connection, known.clinic_id)
        if theirs.credentials is None or credential_status(connection, clinic) is not None:
            return None
    if theirs.credentials is None:
        raise AdoptionRefused(
            f"clinic {request.clinic!r} has no active credentials in v4.0; adopt it with "
            "--without-credentials, and enter them with `pims credentials set`"
        )
    return decrypted_v4_login(theirs.credentials, password_of)


def _registered(
    connection: Connection, request: AdoptionRequest, theirs: _Theirs
) -> tuple[Clinic, dict[Phase, str], tuple[str, ...]]:
    """Register the clinic under its id, with its schedule and its adoption."""
    facts = facts_of(
        theirs.clinic,
        theirs.installation.layout,
        theirs.schedule,
        request.answers,
        credentials_for=theirs.credentials.provider_type if theirs.credentials else None,
    )
    crons, notes = checked_schedule(schedule_from(theirs.schedule))
    if not theirs.clinic.is_in_use:
        notes = ("it is inactive in v4.0, and active here", *notes)
    _refuse_taken(connection, facts)
    if request.dry_run:
        return _clinic_from(facts), crons, (*facts.notes, *notes)
    clinic = add_clinic(
        connection,
        slug=facts.slug,
        name=facts.name,
        timezone=facts.timezone,
        provider_type=facts.provider_type,
        provider_base_url=facts.base_url,
        clinic_id=facts.id,
    )
    set_schedule_config(connection, clinic, ScheduleConfig(sync_schedules=crons))
    if theirs.schedule and theirs.schedule.target_room_id:
        room = ResourceKind.ROOM.key(theirs.schedule.target_room_id)
        set_resources(connection, clinic, ResourceFilter(included=frozenset({room})))
    add_adoption(
        connection,
        clinic_id=clinic.id,
        layout=theirs.installation.layout,
        their_schema=theirs.installation.schema,
        their_clinic_id=theirs.clinic.id,
        mode=AdoptionMode.SHADOW,
    )
    return clinic, crons, (*facts.notes, *notes)


def _refuse_taken(connection: Connection, facts: ClinicRegistration) -> None:
    for clinic in all_clinics(connection):
        if clinic.id == facts.id:
            raise AdoptionRefused(
                f"a clinic with the id {facts.id} is registered here already, as {clinic.slug!r}, "
                "and was not adopted from v4.0; nothing was changed"
            )
        if clinic.slug == facts.slug:
            raise AdoptionRefused(
                f"another clinic called {clinic.slug!r} is registered here already; adopt this one "
                "under another name with --slug; nothing was changed"
            )


def _clinic_from(facts: ClinicRegistration) -> Clinic:
    return Clinic(
        id=facts.id,
        slug=facts.slug,
        name=facts.name,
        timezone=facts.timezone,
        provider_type=facts.provider_type,
        provider_base_url=facts.base_url,
        is_active=True,
    )


def checked_schedule(schedule: ImportedSchedule) -> tuple[dict[Phase, str], tuple[str, ...]]:
    """The schedule with a phase off whose expression cannot be read; v4.0 cannot run it either."""
    crons, notes = dict(schedule.crons), list(schedule.notes)
    for phase, cron in schedule.crons.items():
        try:
            parse_schedule(cron)
        except BadCron:
            crons[phase] = OFF
            notes.append(f"its schedule for {phase} is no cron expression; the phase is off")
    return crons, tuple(notes)


def _known(
    connection: Connection, theirs: _Theirs, known: Adoption
) -> tuple[Clinic, dict[Phase, str], tuple[str, ...]]:
    """The clinic as it is here: adopting it again changes neither it nor its schedule."""
    found = theirs.installation
    if (known.layout, known.their_schema) != (found.layout, found.schema):
        raise AdoptionRefused(
            f"the clinic was adopted from the {known.layout} layout in schema "
            f"{known.their_schema!r}, and this is the {found.layout} layout in schema "
            f"{found.schema!r}; name the former with --schema"
        )
    if known.mode is AdoptionMode.OFF:
        raise AdoptionRefused(
            "the clinic's adoption is off; turn it on with `pims adopt mode` first"
        )
    return clinic_by_id(connection, known.clinic_id), {}, ()


def _details(result: AdoptionResult) -> dict[str, object]:
    """What the log of adoptions keeps: counts and settings."""
    return {
        "layout": result.installation.layout.value,
        "schema": result.installation.schema,
        "imported": result.cases.imported,
        "linked": result.cases.linked,
        "ofPeople": result.cases.of_people,
        "duplicates": len(result.cases.duplicates),
        "collisions": len(result.cases.collisions),
        "findings": {finding.value: count for finding, count in result.cases.findings.items()},
        "login": result.has_login,
        "targetRoomId": result.target_room_id,
    }
