"""The JSON of ``pims adopt``: what is there, what was adopted, and the modes of adopted clinics."""

from typing import Any, Literal, Self
from uuid import UUID

from pims_pipeline.adoption.importing import AdoptionResult
from pims_pipeline.adoption.inspection import ClinicInspection, Inspection
from pims_pipeline.adoption.overview import AdoptedClinic, AdoptionOverview
from pims_pipeline.domain.phases import PhaseName
from pims_pipeline.store.adoptions import AdoptionStep
from pims_pipeline.store.v4.counting import CaseCount
from pims_pipeline.wire.shape import Model, Timestamp

LayoutName = Literal["documented", "deployed"]
Mode = Literal["shadow", "live", "off"]


class CaseCountDocument(Model):
    """How many cases there are of a source and status."""

    source: str | None
    status: str
    cases: int
    of_appointments: int
    retired: int
    without_time: int

    @classmethod
    def of(cls, count: CaseCount) -> Self:
        """Build it from a count."""
        return cls(
            source=count.source,
            status=count.status,
            cases=count.cases,
            of_appointments=count.of_appointments,
            retired=count.retired,
            without_time=count.without_time,
        )


class V4ClinicDocument(Model):
    """A clinic of a v4.0 installation."""

    id: UUID
    slug: str | None
    name: str
    timezone: str | None
    pims_type: str | None
    is_in_use: bool
    cases: list[CaseCountDocument]
    importable: int
    duplicates: int
    last_sync: Timestamp | None
    syncs_in_progress: int
    sync_schedules: dict[PhaseName, str]
    target_room_id: str | None
    key_id: str | None
    notes: list[str]
    to_say: list[str]
    mode: Mode | None

    @classmethod
    def of(cls, found: ClinicInspection) -> Self:
        """Build it from what was found."""
        clinic = found.clinic
        return cls(
            id=clinic.id,
            slug=clinic.slug,
            name=clinic.name,
            timezone=clinic.timezone,
            pims_type=clinic.pims_type,
            is_in_use=clinic.is_in_use,
            cases=[CaseCountDocument.of(count) for count in found.cases],
            importable=found.importable,
            duplicates=found.duplicates,
            last_sync=found.last_sync,
            syncs_in_progress=found.syncs_in_progress,
            sync_schedules=dict(found.schedule.crons),
            target_room_id=found.target_room_id,
            key_id=found.key_id,
            notes=[*found.notes, *found.schedule.notes],
            to_say=list(found.to_say),
            mode=found.mode,
        )


class InspectionDocument(Model):
    """A v4.0 installation."""

    layout: LayoutName
    schema_name: str
    clinics: list[V4ClinicDocument]
    cases_without_clinic: int
    is_migrated: bool
    names_taken: list[str]

    @classmethod
    def of(cls, found: Inspection) -> Self:
        """Build it from what was found."""
        return cls(
            layout=found.layout,
            schema_name=found.schema,
            clinics=[V4ClinicDocument.of(clinic) for clinic in found.clinics],
            cases_without_clinic=found.without_clinic,
            is_migrated=found.is_migrated,
            names_taken=list(found.names_taken),
        )


class DuplicateDocument(Model):
    """An appointment with several cases in v4.0."""

    appointment_id: str
    linked: UUID
    others: list[UUID]


class AdoptionResultDocument(Model):
    """What adopting a clinic did, or in a dry run would do."""

    clinic: str
    clinic_id: UUID
    timezone: str
    provider_type: str
    layout: LayoutName
    schema_name: str
    dry_run: bool
    is_new: bool
    cases_imported: int
    cases_linked: int
    cases_of_people: int
    findings: dict[str, int]
    duplicates: list[DuplicateDocument]
    collisions: list[UUID]
    login_imported: bool
    target_room_id: str | None
    notes: list[str]

    @classmethod
    def of(cls, result: AdoptionResult, *, dry_run: bool) -> Self:
        """Build it from a result."""
        return cls(
            clinic=result.clinic.slug,
            clinic_id=result.clinic.id,
            timezone=result.clinic.timezone,
            provider_type=result.clinic.provider_type,
            layout=result.installation.layout,
            schema_name=result.installation.schema,
            dry_run=dry_run,
            is_new=result.is_new,
            cases_imported=result.cases.imported,
            cases_linked=result.cases.linked,
            cases_of_people=result.cases.of_people,
            findings={
                finding.value: count for finding, count in sorted(result.cases.findings.items())
            },
            duplicates=[
                DuplicateDocument(
                    appointment_id=each.appointment_id,
                    linked=each.linked,
                    others=list(each.others),
                )
                for each in result.cases.duplicates
            ],
            collisions=list(result.cases.collisions),
            login_imported=result.has_login,
            target_room_id=result.target_room_id,
            notes=list(result.notes),
        )


class StepDocument(Model):
    """A step of adopting that was done."""

    step: str
    details: dict[str, Any]
    occurred_at: Timestamp

    @classmethod
    def of(cls, step: AdoptionStep) -> Self:
        """Build it from a step of the log."""
        return cls(step=step.step, details=dict(step.details), occurred_at=step.occurred_at)


class AdoptedClinicDocument(Model):
    """An adopted clinic."""

    clinic: str
    layout: LayoutName
    schema_name: str
    mode: Mode
    adopted_at: Timestamp
    mode_changed_at: Timestamp
    cases_linked: int
    last_diff: dict[str, Any] | None
    last_diff_at: Timestamp | None
    steps: list[StepDocument]

    @classmethod
    def of(cls, adopted: AdoptedClinic) -> Self:
        """Build it from an adopted clinic."""
        adoption = adopted.adoption
        return cls(
            clinic=adopted.clinic.slug,
            layout=adoption.layout,
            schema_name=adoption.their_schema,
            mode=adoption.mode,
            adopted_at=adoption.adopted_at,
            mode_changed_at=adoption.mode_changed_at,
            cases_linked=adopted.linked_cases,
            last_diff=dict(adoption.last_diff) if adoption.last_diff is not None else None,
            last_diff_at=adoption.last_diff_at,
            steps=[StepDocument.of(step) for step in adopted.steps],
        )


class AdoptionStatusDocument(Model):
    """The adopted clinics, and the steps of no clinic."""

    clinics: list[AdoptedClinicDocument]
    steps: list[StepDocument]

    @classmethod
    def of(cls, overview: AdoptionOverview) -> Self:
        """Build it from the overview."""
        return cls(
            clinics=[AdoptedClinicDocument.of(each) for each in overview.clinics],
            steps=[StepDocument.of(step) for step in overview.steps],
        )
