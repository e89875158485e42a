"""The page of a case: what it is, and each change with its cause."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pims_pipeline.dagster_names import parse_partition_key
from pims_pipeline.domain.console.operators import OperatorAction
from pims_pipeline.operations.console.changed_fields import changed_fields
from pims_pipeline.operations.console.visible import visible_only
from pims_pipeline.operations.operators.sign_in import OperatorView
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.operators.log import note_action
from pims_pipeline.store.queries.case_history import (
    CaseHistory,
    HistoryPart,
    case_history,
    event_count,
)
from pims_pipeline.sync.provenance import TracedEvent, provenance_of


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """A change of a case, and the business date whose partition caused it."""

    traced: TracedEvent
    day: str

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """The fields with their values before and after."""
        return changed_fields(self.traced.stored.changes)


@dataclass(frozen=True, slots=True)
class CasePage:
    """A case and its changes, newest first.

    Attributes:
        total: The number of all changes; ``events`` are a part of them.
    """

    case: CaseHistory
    events: tuple[ShownEvent, ...]
    total: int

    @property
    def is_retired(self) -> bool:
        """Whether the case is soft-deleted."""
        return self.retirement.get("softDeleted") is True

    @property
    def retirement(self) -> Mapping[str, Any]:
        """What its metadata says of its retirement."""
        found = self.case.metadata.get("reconciliation")
        return found if isinstance(found, Mapping) else {}

    @property
    def appointment(self) -> Mapping[str, Any]:
        """The vendor's words for the appointment."""
        found = self.case.metadata.get("appointment")
        return found if isinstance(found, Mapping) else {}


def case_page(
    view: OperatorView, case_id: UUID, *, dagster_ui_url: str, skip: int, limit: int
) -> CasePage:
    """A case with some of its changes. The look is logged, in the same transaction.

    Args:
        view: The operator's.
        case_id: Which case.
        dagster_ui_url: The address of the Dagster UI.
        skip: How many of the newest changes to leave out.
        limit: How many to show.

    Raises:
        NotVisible: If there is no such case at the operator's clinics.
    """
    with visible_only(), transaction(view.engine) as connection:
        history = case_history(connection, case_id, HistoryPart(skip, limit))
        total = event_count(connection, case_id)
        clinic = clinic_by_slug(connection, history.clinic)
        note_action(
            connection,
            view.actor,
            OperatorAction.CASE_SEEN,
            clinic_id=clinic.id,
            case_id=case_id,
        )
    events = provenance_of(history, dagster_ui_url=dagster_ui_url).events
    shown = tuple(ShownEvent(each, _day(each)) for each in reversed(events))
    return CasePage(history, shown, total)


def _day(event: TracedEvent) -> str:
    return parse_partition_key(event.stored.partition_key).day.isoformat()
