"""The parts of the demonstration, each with the checks of what it shows.

Everything but the vendor is real: the login in a browser, the database, the Dagster runs.

The simulator loses its edits when it stops; the database keeps the cases. So the first sync of a
second demonstration finds the calendar as it was before any edit, and catches up like any sync
after an outage. The case histories grow, and the edits that follow are the same.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import click
from rich.console import Console

from pims_pipeline.cli.demo.changes import CausedChange, show_changes
from pims_pipeline.cli.demo.clinics import DemoClinic
from pims_pipeline.cli.demo.display import heading, run_progress, say, show_table
from pims_pipeline.cli.demo.results import Stored, show_clock_change, show_stored
from pims_pipeline.cli.demo.scenario import DAYS, Edit, Period, Scenario
from pims_pipeline.cli.runtime import Store
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.dagster_names import DEMO_TAG
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import JOB_OF, PHASES_OF, Phase, Scope
from pims_pipeline.domain.records.cases import EventKind, case_id_of
from pims_pipeline.operations.case_history import case_history
from pims_pipeline.operations.cases import clinic_cases
from pims_pipeline.operations.runs import run_audits
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.store.queries.cases import ListedCase

if TYPE_CHECKING:
    from dagster import DagsterInstance, Definitions

    from pims_pipeline.orchestration.launching import JobOutcome

_ALL_CASES = 1_000_000


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The parts of the demonstration, and what they work with."""

    console: Console
    store: Store
    instance: "DagsterInstance"
    definitions: "Definitions"
    control: SimulatorControl
    clinics: Sequence[DemoClinic]
    period: Period

    def play(self) -> None:
        """Play all parts.

        Raises:
            Refused: If a check fails.
            Abort: If the demonstration is interrupted.
        """
        scenario = Scenario(self.control, self.clinics, self.period)
        self._first_sync()
        mistake = self._mistake(scenario)
        self._changes(scenario, mistake)
        self._no_changes()
        self._logins()

    def _first_sync(self) -> None:
        known = sum(len(self._cases(each)) for each in self.clinics)
        days = f"{DAYS} days × {len(self.clinics)} clinics"
        heading(self.console, f"1  The first sync: {days}, one Dagster run")
        if known:
            say(
                self.console,
                f"{known} cases are stored from before. The simulator has lost the edits of that "
                "demonstration, so this sync catches up.",
            )
        outcome = self._run("full", self.clinics, self.period.window, "first sync")
        counts = {(each.clinic_id, each.sync_type): each.counts for each in outcome.audits}
        stored = [
            Stored(each, counts[each.clinic.id, Phase.INBOUND], self._cases(each))
            for each in self.clinics
        ]
        for each in stored:
            _check(each.is_complete, f"{each.demo.clinic.slug} has fewer cases than appointments")
        show_stored(self.console, stored, self.period)
        for day, zone in self.period.clock_changes.items():
            clinic = next(each for each in stored if each.demo.clinic.timezone == zone)
            near = day - timedelta(days=1), day + timedelta(days=1)
            appointments = self.control.appointments(clinic.demo.company_id, *near)
            show_clock_change(self.console, clinic, day, appointments)

    def _mistake(self, scenario: Scenario) -> Edit:
        heading(self.console, "2  A booking is deleted by mistake; its one partition is reconciled")
        mistake = scenario.delete_by_mistake()
        self._say_edit(mistake)
        day = mistake.appointment.start.date()
        before = self._updated_at()
        outcome = self._run("reconcile", [mistake.demo], DateRange(day, day), "mistake")
        self._compare([mistake], outcome, before)
        say(self.console, "Its case is kept, marked as deleted.")
        return mistake

    def _changes(self, scenario: Scenario, mistake: Edit) -> None:
        heading(self.console, "3  The day goes on at the clinics; then the second sync")
        edits = scenario.rest_of_the_day(mistake, datetime.now(UTC))
        for edit in edits:
            self._say_edit(edit)
        before = self._updated_at()
        outcome = self._run("full", self.clinics, self.period.window, "second sync")
        changes = self._compare(edits, outcome, before)
        say(self.console, "Every change, and its cause:")
        self.console.print()
        show_changes(self.console, changes)

    def _no_changes(self) -> None:
        heading(self.console, "4  The third sync: nothing happened, so nothing is written")
        before, logins = self._updated_at(), self.control.stats().logins
        outcome = self._run("full", self.clinics, self.period.window, "third sync")
        counts = sum((audit.counts for audit in outcome.audits), Counts())
        names = ("created", "updated", "restored", "deleted", "enriched")
        written = {name: getattr(counts, name) for name in names}
        after = self._updated_at()
        _check(not any(written.values()), f"the third sync changed something: {written}")
        _check(before == after, "the third sync changed cases.updated_at")
        _check(self.control.stats().logins == logins, "the third sync logged in again")
        say(self.console, ", ".join(f"0 {name}" for name in names), mark="✔", style="green")
        latest = max(after.values()).isoformat(sep=" ", timespec="milliseconds")
        say(self.console, f"max(cases.updated_at) stays at {latest}", mark="✔", style="green")
        say(self.console, "No browser was launched", mark="✔", style="green")

    def _logins(self) -> None:
        heading(self.console, "At the vendor")
        stats = self.control.stats()
        show_table(
            self.console,
            ["Clinic", "Logins (browser launches)"],
            [[each.clinic.slug, str(stats.logins[each.company_id])] for each in self.clinics],
        )
        requests = stats.requests
        say(
            self.console,
            f"Requests in four runs: {requests['listing']} listings, {requests['appointment']} "
            f"lookups, {requests['consultation']} consultations.",
        )
        # Every launch of a browser requests the login page, even if the login fails.
        launches = requests["login_page"]
        _check(
            max(stats.logins.values()) <= 1 and launches <= len(self.clinics),
            f"a browser was launched more than once for a clinic ({launches} in all)",
        )

    def _run(
        self, scope: Scope, clinics: Sequence[DemoClinic], window: DateRange, part: str
    ) -> "JobOutcome":
        """Execute a Dagster run, show its progress, and check that every phase completed."""
        from dagster import DagsterExecutionInterruptedError  # noqa: PLC0415 - costs seconds

        from pims_pipeline.orchestration.launching import run_in_process  # noqa: PLC0415 - as above
        from pims_pipeline.sync.windows import OutsidePartitions  # noqa: PLC0415

        run_id = str(uuid.uuid4())
        phases = PHASES_OF[scope]
        try:
            audits = partial(run_audits, self.store.engine, run_id)
            with run_progress(self.console, clinics, phases, audits):
                outcome = run_in_process(
                    self.definitions,
                    JOB_OF[scope],
                    slugs=[each.clinic.slug for each in clinics],
                    window=window,
                    partition_start=self.store.settings.partition_start,
                    instance=self.instance,
                    engine=self.store.engine,
                    run_id=run_id,
                    tags={DEMO_TAG: part},
                )
        except DagsterExecutionInterruptedError as error:
            raise click.Abort from error
        except OutsidePartitions as error:
            raise Refused(str(error)) from error
        if outcome.interrupted:
            raise click.Abort
        _check(outcome.success, f"run {run_id} failed: {self._why(outcome)}")
        done = [audit for audit in outcome.audits if audit.status is AuditStatus.COMPLETED]
        _check(len(done) == len(clinics) * len(phases), f"run {run_id} did not run every phase")
        return outcome

    def _why(self, outcome: "JobOutcome") -> str:
        from pims_pipeline.orchestration.run_events import (  # noqa: PLC0415 - costs seconds
            failed_checks,
        )

        messages = [audit.error_message or "" for audit in outcome.audits]
        held = [audit for audit in outcome.audits if audit.status is AuditStatus.HELD]
        checks = ", ".join(failed_checks(self.instance, outcome.run_id))
        reasons = [
            *filter(None, messages),
            *(f"{each.counts.held} deletions are held back" for each in held),
            *([f"failed checks: {checks}"] if checks else []),
        ]
        log_file = self.store.settings.home / "logs" / "demo.log"
        return reasons[0] if reasons else f"see {log_file}"

    def _cases(self, demo: DemoClinic) -> list[ListedCase]:
        return clinic_cases(self.store.engine, demo.clinic.slug, limit=_ALL_CASES).cases

    def _updated_at(self) -> dict[UUID, datetime]:
        """The time of the last change of each case."""
        return {case.id: case.updated_at for demo in self.clinics for case in self._cases(demo)}

    def _compare(
        self, edits: Sequence[Edit], outcome: "JobOutcome", before: Mapping[UUID, datetime]
    ) -> list[CausedChange]:
        """Check that the run's events are exactly those of the edits, and return them."""
        causes = {_case_id(edit): edit for edit in edits}
        changed = [each for each, at in self._updated_at().items() if before.get(each) != at]
        _check(
            set(changed) == set(causes),
            f"{len(edits)} appointments were edited, but other cases changed",
        )
        caused = []
        for case_id, edit in causes.items():
            history = case_history(self.store.engine, case_id)
            events = [event for event in history.events if event.run_id == outcome.run_id]
            kinds = frozenset(EventKind(event.kind) for event in events)
            _check(
                kinds in edit.expected,
                f"an appointment ({edit.what}) led to {', '.join(sorted(kinds)) or 'nothing'}",
            )
            caused += [CausedChange(edit.what, history, event) for event in events]
        return caused

    def _say_edit(self, edit: Edit) -> None:
        appointment = edit.appointment
        what = f"{appointment.type or 'appointment'}, {appointment.start:%a %d %b %H:%M}"
        who = f"{appointment.patient_name} ({what})"
        say(self.console, f"{edit.demo.clinic.name}: {who} {edit.what}", mark="•", style="cyan")


def _case_id(edit: Edit) -> UUID:
    clinic = edit.demo.clinic
    return case_id_of(clinic.id, clinic.provider_type, edit.appointment.id)


def _check(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Fail the demonstration unless the condition holds."""
    if not holds:
        raise Refused(f"check failed: {otherwise}")
