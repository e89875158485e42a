"""``pims demo``: a day at three made-up clinics, and how their cases follow it.

Everything is real but the vendor: the login in a browser, the database, Dagster's runs. The
demonstration checks what it shows, and fails where that is not as it should be. What is
played stands in ``demo_scenario``, how it looks in ``demo_display`` and ``demo_results``.

The pretend vendor forgets everything when it ends, the database nothing. So a second
demonstration begins where a first one's cases stand: its first sync finds the vendor's calendar
as it was before any edit, and catches up like any sync after an outage. Nothing needs to be
deleted for that, and the cases' stories grow. The edits that follow are the same again.
"""

import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import click
from rich.console import Console

from pims_pipeline.cli.demo.clinics import DemoClinic, borrowed_demo_clinics
from pims_pipeline.cli.demo.display import (
    ToldChange,
    heading,
    run_progress,
    say,
    show_changes,
    show_table,
    stage,
    waiting,
)
from pims_pipeline.cli.demo.results import Made, show_clock_change, show_what_was_made
from pims_pipeline.cli.demo.scenario import DAYS, Edit, Period, Story, demo_period
from pims_pipeline.cli.local_runs import local_definitions
from pims_pipeline.cli.runtime import Command, Store, dagster_storage, open_store
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.interrupts import interruptible, undisturbed_end, uninterrupted
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.dagster_names import DEMO_TAG
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import JOB_OF, PHASES_OF, Phase, Scope
from pims_pipeline.domain.records.cases import EventKind, case_id_of
from pims_pipeline.observability.logging import configure_logging
from pims_pipeline.operations.cases import case_history, clinic_cases
from pims_pipeline.operations.runs import run_audits
from pims_pipeline.settings import Settings
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import (
    DEFAULT_CLINICS,
    SimulatorConfig,
    running_simulator,
)
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.queries.cases import ListedCase

if TYPE_CHECKING:
    from dagster import DagsterInstance, Definitions

    from pims_pipeline.orchestration.launching import JobOutcome

_ALL_CASES = 1_000_000


@click.command(
    cls=Command,
    epilog=examples("pims demo", "PIMS_HOME=elsewhere pims demo", "pims up"),
)
@click.pass_obj
def demo(settings: Settings) -> None:
    """Play a day at three made-up clinics, and show how their cases follow it.

    Starts a pretend IDEXX Neo on this machine, logs in with a real browser, syncs fifteen days
    of three clinics, edits their calendars, and syncs again. The clinics, their cases and the runs
    stay, to be looked at with `pims up` and `pims cases`. Ends with status 1 if anything is not
    as it should be.
    """
    log_file = settings.home / "logs" / "demo.log"
    began = time.monotonic()
    with interruptible(), stage(log_file) as console:
        # Standard error is the log file by now, and gets no colours.
        configure_logging(settings.log_level, settings.log_format)
        # An interrupted browser makes it complain, after the log file has been closed.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        with _prepared(settings, console) as demonstration:
            demonstration.play()
        heading(console, f"All as promised, in {time.monotonic() - began:.0f} s.")
        say(console, "make up          the runs and their partitions, in the Dagster UI")
        say(console, "pims status      how the clinics stand")
        say(console, f"pims cases list --clinic {demonstration.clinics[0].clinic.slug}")
        say(console, f"What the runs logged: {log_file}")


@contextmanager
def _prepared(settings: Settings, console: Console) -> Iterator["Demonstration"]:
    """Everything that the demonstration needs, started; and stopped at the end."""
    zones = [each.timezone for each in DEFAULT_CLINICS]
    period = demo_period(zones, datetime.now(UTC).date())
    heading(console, "A day at three veterinary clinics")
    with ExitStack() as stack, undisturbed_end():
        with waiting(console, "Starting the vendor, the database and Dagster"):
            demonstration = _started(settings, console, period, stack)
        yield demonstration


def _started(
    settings: Settings, console: Console, period: Period, stack: ExitStack
) -> "Demonstration":
    server = stack.enter_context(running_simulator(SimulatorConfig(today=period.vendor_today)))
    control = stack.enter_context(closing(SimulatorControl(server.base_url)))
    say(console, f"A pretend IDEXX Neo answers at {server.base_url}", mark="✔", style="green")
    with uninterrupted():
        store = stack.enter_context(open_store(settings, migrated=False))
    migrate(store.engine)
    where = "your PostgreSQL" if settings.database_url else "an embedded PostgreSQL"
    say(console, f"Cases are kept in {where}", mark="✔", style="green")
    clinics = stack.enter_context(borrowed_demo_clinics(store, server.base_url))
    _show_clinics(console, clinics, period)

    from pims_pipeline.orchestration.instance import open_instance  # noqa: PLC0415 - costs seconds

    instance = stack.enter_context(open_instance(settings.home, dagster_storage(store)))
    definitions = local_definitions(store)
    return Demonstration(console, store, instance, definitions, control, clinics, period)


def _show_clinics(console: Console, clinics: Sequence[DemoClinic], period: Period) -> None:
    names = ", ".join(f"{each.clinic.slug} ({each.clinic.timezone})" for each in clinics)
    say(console, f"Registered, logins encrypted: {names}", mark="✔", style="green")
    changes = " and ".join(f"{zone} on {day}" for day, zone in period.clock_changes.items())
    window = f"{period.window.start} to {period.window.end}"
    say(console, f"The days played are {window}; the clocks change in {changes}")


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The acts, one after the other, over what ``_prepared`` started."""

    console: Console
    store: Store
    instance: "DagsterInstance"
    definitions: "Definitions"
    control: SimulatorControl
    clinics: Sequence[DemoClinic]
    period: Period

    def play(self) -> None:
        """All acts.

        Raises:
            Refused: If anything is not as promised.
            Abort: If the demonstration is interrupted.
        """
        story = Story(self.control, self.clinics, self.period)
        self._first_sync()
        mistake = self._mistake(story)
        self._changes(story, mistake)
        self._nothing_new()
        self._logins()

    def _first_sync(self) -> None:
        known = sum(len(self._cases(each)) for each in self.clinics)
        days = f"{DAYS} days × {len(self.clinics)} clinics"
        heading(self.console, f"1  The first sync: {days}, one Dagster run")
        if known:
            say(
                self.console,
                f"{known} cases are known from before. The pretend vendor has forgotten that "
                "demonstration's edits, so this sync catches up.",
            )
        outcome = self._run("full", self.clinics, self.period.window, "first sync")
        counts = {(each.clinic_id, each.sync_type): each.counts for each in outcome.audits}
        made = [
            Made(each, counts[each.clinic.id, Phase.INBOUND], self._cases(each))
            for each in self.clinics
        ]
        for each in made:
            _promise(each.is_whole, f"{each.demo.clinic.slug} has fewer cases than appointments")
        show_what_was_made(self.console, made, self.period)
        for day, zone in self.period.clock_changes.items():
            clinic = next(each for each in made if each.demo.clinic.timezone == zone)
            near = day - timedelta(days=1), day + timedelta(days=1)
            appointments = self.control.appointments(clinic.demo.company_id, *near)
            show_clock_change(self.console, clinic, day, appointments)

    def _mistake(self, story: Story) -> Edit:
        heading(self.console, "2  A booking is deleted by mistake; its one partition is reconciled")
        mistake = story.delete_by_mistake()
        self._say_edit(mistake)
        day = mistake.appointment.start.date()
        before = self._moments()
        outcome = self._run("reconcile", [mistake.demo], DateRange(day, day), "mistake")
        self._compare([mistake], outcome, before)
        say(self.console, "Its case is kept, marked as deleted.")
        return mistake

    def _changes(self, story: Story, mistake: Edit) -> None:
        heading(self.console, "3  The day goes on at the clinics; then the second sync")
        edits = story.rest_of_the_day(mistake, datetime.now(UTC))
        for edit in edits:
            self._say_edit(edit)
        before = self._moments()
        outcome = self._run("full", self.clinics, self.period.window, "second sync")
        told = self._compare(edits, outcome, before)
        say(self.console, "Every change, and its cause:")
        self.console.print()
        show_changes(self.console, told)

    def _nothing_new(self) -> None:
        heading(self.console, "4  The third sync: nothing happened, so nothing is written")
        before, logins = self._moments(), self.control.stats().logins
        outcome = self._run("full", self.clinics, self.period.window, "third sync")
        counts = sum((audit.counts for audit in outcome.audits), Counts())
        names = ("created", "updated", "restored", "deleted", "enriched")
        written = {name: getattr(counts, name) for name in names}
        after = self._moments()
        _promise(not any(written.values()), f"the third sync changed something: {written}")
        _promise(before == after, "the third sync moved cases' updated_at")
        _promise(self.control.stats().logins == logins, "the third sync logged in again")
        say(self.console, ", ".join(f"0 {name}" for name in names), mark="✔", style="green")
        latest = max(after.values()).isoformat(sep=" ", timespec="milliseconds")
        say(self.console, f"max(cases.updated_at) stays at {latest}", mark="✔", style="green")
        say(self.console, "No browser was launched", mark="✔", style="green")

    def _logins(self) -> None:
        heading(self.console, "At the vendor's")
        stats = self.control.stats()
        show_table(
            self.console,
            ["Clinic", "Logins (browser launches)"],
            [[each.clinic.slug, str(stats.logins[each.company_id])] for each in self.clinics],
        )
        asked = stats.requests
        say(
            self.console,
            f"In four runs: {asked['listing']} listings, {asked['appointment']} look-ups, "
            f"{asked['consultation']} consultations asked for.",
        )
        # Every launch opens the login page, whatever comes of it.
        launches = asked["login_page"]
        _promise(
            max(stats.logins.values()) <= 1 and launches <= len(self.clinics),
            f"a browser was launched more than once for a clinic ({launches} in all)",
        )

    def _run(
        self, scope: Scope, clinics: Sequence[DemoClinic], window: DateRange, act: str
    ) -> "JobOutcome":
        """A Dagster run, shown while it goes on; every phase of every clinic is completed."""
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
                    tags={DEMO_TAG: act},
                )
        except DagsterExecutionInterruptedError as error:
            raise click.Abort from error
        except OutsidePartitions as error:
            raise Refused(str(error)) from error
        if outcome.interrupted:
            raise click.Abort
        _promise(outcome.success, f"run {run_id} failed: {self._why(outcome)}")
        done = [audit for audit in outcome.audits if audit.status is AuditStatus.COMPLETED]
        _promise(len(done) == len(clinics) * len(phases), f"run {run_id} left something out")
        return outcome

    def _why(self, outcome: "JobOutcome") -> str:
        from pims_pipeline.orchestration.run_events import (  # noqa: PLC0415 - costs seconds
            failed_checks,
        )

        said = [audit.error_message or "" for audit in outcome.audits]
        held = [audit for audit in outcome.audits if audit.status is AuditStatus.HELD]
        checks = ", ".join(failed_checks(self.instance, outcome.run_id))
        reasons = [
            *filter(None, said),
            *(f"{each.counts.held} deletions are held back" for each in held),
            *([f"failed checks: {checks}"] if checks else []),
        ]
        log_file = self.store.settings.home / "logs" / "demo.log"
        return reasons[0] if reasons else f"see {log_file}"

    def _cases(self, demo: DemoClinic) -> list[ListedCase]:
        return clinic_cases(self.store.engine, demo.clinic.slug, limit=_ALL_CASES).cases

    def _moments(self) -> dict[UUID, datetime]:
        """When each case was last changed."""
        return {case.id: case.updated_at for demo in self.clinics for case in self._cases(demo)}

    def _compare(
        self, edits: Sequence[Edit], outcome: "JobOutcome", before: Mapping[UUID, datetime]
    ) -> list[ToldChange]:
        """The events of the run, once they are exactly those that the edits lead to."""
        causes = {_case_id(edit): edit for edit in edits}
        changed = [each for each, moved in self._moments().items() if before.get(each) != moved]
        _promise(
            set(changed) == set(causes),
            f"{len(edits)} appointments were edited, but other cases changed",
        )
        told = []
        for case_id, edit in causes.items():
            story = case_history(self.store.engine, case_id)
            events = [event for event in story.events if event.run_id == outcome.run_id]
            kinds = frozenset(EventKind(event.kind) for event in events)
            _promise(
                kinds in edit.expected,
                f"an appointment ({edit.what}) led to {', '.join(sorted(kinds)) or 'nothing'}",
            )
            told += [ToldChange(edit.what, story, event) for event in events]
        return told

    def _say_edit(self, edit: Edit) -> None:
        appointment = edit.appointment
        what = f"{appointment.type or 'appointment'}, {appointment.start:%a %d %b %H:%M}"
        who = f"{appointment.patient_name} ({what})"
        say(self.console, f"{edit.demo.clinic.name}: {who} {edit.what}", mark="•", style="cyan")


def _case_id(edit: Edit) -> UUID:
    clinic = edit.demo.clinic
    return case_id_of(clinic.id, clinic.provider_type, edit.appointment.id)


def _promise(kept: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Fail the demonstration unless what it shows is so."""
    if not kept:
        raise Refused(f"not as promised: {otherwise}")
