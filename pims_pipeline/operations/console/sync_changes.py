"""What a sync changed on a business date, and the syncs of a run: where Dagster links to."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from pims_pipeline.dagster_names import parse_partition_key, partition_key
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorAction
from pims_pipeline.operations.console.changed_fields import changed_fields
from pims_pipeline.operations.console.visible import NotVisible, visible_only
from pims_pipeline.operations.operators.sign_in import OperatorView
from pims_pipeline.store.audits import Audit, audit_by_id, audits_of_run
from pims_pipeline.store.clinics import all_clinics, clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.tenancy import enter_clinic
from pims_pipeline.store.operators.log import note_action
from pims_pipeline.store.queries.case_history import HistoryPart
from pims_pipeline.store.queries.console.sync_changes import (
    CaseChange,
    change_counts,
    changes_of_sync,
)
from pims_pipeline.sync.provenance import partition_url, run_url


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A change of a case by the sync."""

    stored: CaseChange

    @property
    def fields(self) -> list[tuple[str, Any, Any]]:
        """The fields with their values before and after."""
        return changed_fields(self.stored.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncChangesPage:
    """What one sync of a clinic changed on a business date.

    Attributes:
        days: The dates on which it changed cases, each with the number of changes.
        total: The number of all changes on ``day``; ``changes`` are a part of them.
        run_url: Its run in the Dagster UI.
        partition_url: The partition of its asset in the Dagster UI.
    """

    clinic: Clinic
    audit: Audit
    day: date
    days: dict[date, int]
    changes: tuple[ShownChange, ...]
    total: int
    run_url: str
    partition_url: str


@dataclass(frozen=True, slots=True)
class RunSync:
    """One sync of a run: a phase of a clinic and window."""

    clinic: Clinic
    audit: Audit


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run of Dagster, with its syncs of the operator's clinics."""

    run_id: str
    run_url: str
    syncs: tuple[RunSync, ...]


def sync_changes(
    view: OperatorView,
    slug: str,
    audit_id: UUID,
    day: date | None,
    *,
    dagster_ui_url: str,
    skip: int,
    limit: int,
) -> SyncChangesPage:
    """What the sync changed on a date, case by case. The look is logged.

    Args:
        view: The operator's.
        slug: The clinic's.
        audit_id: Of the sync.
        day: A business date; None for the first on which it changed a case, or of its window.
        dagster_ui_url: The address of the Dagster UI.
        skip: How many of the first changes to leave out.
        limit: How many to show.

    Raises:
        NotVisible: If there is no such sync of the clinic, or the clinic is not the operator's.
    """
    with visible_only(), transaction(view.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        # From here on, the transaction sees this clinic alone.
        enter_clinic(connection, clinic.id)
        audit = audit_by_id(connection, audit_id)
        if audit is None:
            raise NotVisible("There is no such sync of this clinic.")
        counts = {
            parse_partition_key(key).day: number
            for key, number in change_counts(connection, audit_id).items()
        }
        shown = day or next(iter(counts), audit.window.start)
        key = partition_key(clinic.slug, shown)
        changes = changes_of_sync(connection, audit_id, key, HistoryPart(skip, limit))
        note_action(
            connection,
            view.actor,
            OperatorAction.SYNC_SEEN,
            clinic_id=clinic.id,
            details={"sync": str(audit_id), "date": shown.isoformat()},
        )
    return SyncChangesPage(
        clinic=clinic,
        audit=audit,
        day=shown,
        days=counts,
        changes=tuple(ShownChange(each) for each in changes),
        total=counts.get(shown, 0),
        run_url=run_url(dagster_ui_url, audit.run_id),
        partition_url=partition_url(dagster_ui_url, audit.sync_type.names.asset, key),
    )


def run_syncs(view: OperatorView, run_id: str, *, dagster_ui_url: str) -> RunPage:
    """The syncs of a run at the operator's clinics. Shows ids and counts, so no look is logged.

    Raises:
        NotVisible: If it synced none of the operator's clinics.
    """
    with transaction(view.engine) as connection:
        audits = audits_of_run(connection, run_id)
        by_id = {clinic.id: clinic for clinic in all_clinics(connection)} if audits else {}
    syncs = (RunSync(by_id[audit.clinic_id], audit) for audit in audits)
    shown = tuple(sorted(syncs, key=lambda each: (each.clinic.slug, each.audit.created_at)))
    if not shown:
        raise NotVisible("There is no sync of that run at your clinics.")
    return RunPage(run_id, run_url(dagster_ui_url, run_id), shown)
