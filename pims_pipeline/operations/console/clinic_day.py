"""The page of a clinic: its status, and a business date with each appointment beside its case."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pims_pipeline.domain.clinics import Clinic, business_date
from pims_pipeline.domain.console.activity import DayActivity
from pims_pipeline.domain.console.operators import OperatorAction
from pims_pipeline.operations.console.differences import (
    FieldDifference,
    differences_of,
    explanation_of,
)
from pims_pipeline.operations.console.overview import (
    ClinicSummary,
    every_day,
    first_moment,
    summary_of,
)
from pims_pipeline.operations.console.visible import visible_only
from pims_pipeline.operations.operators.sign_in import OperatorView
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.clock import clock_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.tenancy import enter_clinic
from pims_pipeline.store.operators.log import note_action
from pims_pipeline.store.queries.clinic_status import clinic_states
from pims_pipeline.store.queries.console.activity import activity_since
from pims_pipeline.store.queries.console.calendar_day import DayRow, calendar_day
from pims_pipeline.sync.words import words_of


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """An appointment beside its case, with what differs and why."""

    row: DayRow
    explanation: str | None
    differences: tuple[FieldDifference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicDayPage:
    """A clinic on a business date.

    Attributes:
        today: The clinic's present business date.
        days: What its syncs did in the last days.
    """

    clinic: Clinic
    summary: ClinicSummary
    day: date
    today: date
    rows: tuple[ComparedRow, ...]
    days: tuple[DayActivity, ...]
    now: datetime

    @property
    def before(self) -> date:
        """The date before."""
        return self.day - timedelta(days=1)

    @property
    def after(self) -> date:
        """The date after."""
        return self.day + timedelta(days=1)


def clinic_day(view: OperatorView, slug: str, day: date | None = None) -> ClinicDayPage:
    """The clinic on a business date, today unless given. The look is logged.

    Raises:
        NotVisible: If there is no such clinic among the operator's.
    """
    with visible_only(), transaction(view.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        # From here on, the transaction sees this clinic alone.
        enter_clinic(connection, clinic.id)
        now = clock_of(connection).database
        today = business_date(now, clinic.zone)
        shown = day or today
        note_action(
            connection,
            view.actor,
            OperatorAction.CLINIC_SEEN,
            clinic_id=clinic.id,
            details={"date": shown.isoformat()},
        )
        words = words_of(connection, clinic)
        rows = tuple(
            ComparedRow(row, explanation_of(row), differences_of(row, words))
            for row in calendar_day(connection, clinic, shown)
        )
        [state] = clinic_states(connection, now)
        days = activity_since(connection, first_moment(now), clinic.id)
    return ClinicDayPage(
        clinic=clinic,
        summary=summary_of(state, now),
        day=shown,
        today=today,
        rows=rows,
        days=tuple(every_day(days, now)),
        now=now,
    )
