"""The result of the demonstration's first sync, as tables: counts, samples, clock changes.

Reads of cases and appointments belong in ``demonstration``.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from rich.console import Console

from pims_pipeline.cli.demo.clinics import DemoClinic
from pims_pipeline.cli.demo.display import say, show_table
from pims_pipeline.cli.demo.scenario import Period
from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.records.words import CaseStatus
from pims_pipeline.simulator.control_client import TrueAppointment
from pims_pipeline.store.queries.cases import ListedCase

_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Stored:
    """The cases of a clinic after its first sync.

    Attributes:
        listing: The sync's counts of the calendar's records.
        cases: All cases of the clinic.
    """

    demo: DemoClinic
    listing: Counts
    cases: Sequence[ListedCase]

    @property
    def is_complete(self) -> bool:
        """Whether every appointment of the calendar has a case."""
        listing = self.listing
        appointments = listing.found - listing.blocked - listing.left_out - listing.quarantined
        return 0 < appointments <= len(self.cases)


def show_stored(console: Console, stored: Sequence[Stored], period: Period) -> None:
    """Print each clinic's counts, and some cases of the simulator's present day."""
    show_table(
        console,
        ["Clinic", "Calendar", "Blocks", "Unreadable", "Cases", "Their status", "Enriched"],
        [list(_counted(each, period)) for each in stored],
    )
    headings = ["Local", "Patient", "Client", "Type", "Status", ""]
    show_table(
        console,
        [f"Some cases of {period.vendor_today:%a %d %b}", *headings],
        [list(_sample(each, case)) for each in stored for case in _some(each, period.vendor_today)],
    )


def _counted(stored: Stored, period: Period) -> Iterator[str]:
    cases = [case for case in stored.cases if case.scheduled_date in period.window]
    by_status = Counter(case.status for case in cases)
    listing = stored.listing
    yield stored.demo.clinic.slug
    yield from map(str, (listing.found, listing.blocked, listing.quarantined))
    yield str(len(cases))
    yield ", ".join(f"{by_status[status]} {status}" for status in CaseStatus)
    yield str(sum(case.enriched for case in cases))


def _some(stored: Stored, day: date) -> Sequence[ListedCase]:
    """A few cases of the day, spread over it, earliest first."""
    cases = [case for case in reversed(stored.cases) if case.scheduled_date == day]
    return cases[:: max(1, len(cases) // _SAMPLES)][:_SAMPLES]


def _sample(stored: Stored, case: ListedCase) -> Iterator[str]:
    clinic, start = stored.demo.clinic, case.scheduled_start
    yield clinic.slug
    yield f"{start.astimezone(clinic.zone):%H:%M}" if start else ""
    species = f" ({case.patient_species})" if case.patient_species else ""
    yield f"{case.patient_name}{species}"
    yield case.client_name
    yield case.case_type
    yield "deleted" if case.soft_deleted else case.status
    yield "enriched" if case.enriched else ""


def show_clock_change(
    console: Console, stored: Stored, day: date, appointments: Sequence[TrueAppointment]
) -> None:
    """Print the appointments around a clock change, as the vendor has them and as stored.

    Args:
        console: The console to print on.
        stored: The clinic's cases.
        day: The date on which its clocks change.
        appointments: The vendor's records of that day and its neighbours, in order of time.
    """
    cases = {case.pims_id: case for case in stored.cases}
    rows = []
    for appointment in appointments:
        case = cases.get(appointment.id)
        if case is not None and case.scheduled_start is not None:
            local = case.scheduled_start.astimezone(stored.demo.clinic.zone)
            wrote, utc = (
                f"{appointment.start:%a %d %b %H:%M}",
                f"{case.scheduled_start:%a %d %b %H:%M}Z",
            )
            rows.append([wrote, utc, f"{local:%H:%M %Z} ({local:%z})", case.patient_name])
    say(console, f"{stored.demo.clinic.slug}: the clocks change on {day:%a %d %b}.")
    headings = ["At the vendor", "Stored in UTC", "Local time", "Patient"]
    show_table(console, headings, _around(rows, f"{day:%a %d %b}"))


def _around(rows: list[list[str]], marked: str) -> list[list[str]]:
    """The rows of the marked day, with the one before and the one after."""
    places = [place for place, row in enumerate(rows) if row[0].startswith(marked)]
    return rows[max(0, places[0] - 1) : places[-1] + 2] if places else rows
