"""The parts of the nightly maintenance; ``maintenance`` makes an asset of them.

A part that fails, or a clinic, does not stop the others. ``pims_pipeline.store.maintenance`` and
``pims_pipeline.sync.retention`` define what is deleted.
"""

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Engine

from pims_pipeline.adoption.comparison import compare_and_keep
from pims_pipeline.domain.adoption.agreement import agrees
from pims_pipeline.domain.clinics import Clinic, DateRange, business_date
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.drift import KEPT
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.orchestration.checks.findings import CheckInput, Finding
from pims_pipeline.orchestration.checks.phases import DAILY_CHECKS
from pims_pipeline.orchestration.checks.windows import latest_input
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.store.adoptions import adopted_slugs
from pims_pipeline.store.clinics import active_clinics, all_clinics
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.leases import drop_old_leases
from pims_pipeline.store.liveness import interrupt_orphans
from pims_pipeline.store.maintenance import (
    clinics_with_unfinished_audits,
    drop_expired_idempotency_keys,
    drop_expired_sessions,
    prune_ended_alerts,
    prune_resolved_failures,
    prune_sync_requests,
)
from pims_pipeline.store.shapes.writing import prune_shapes
from pims_pipeline.sync.retention import prune_landed_records

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PartFailure:
    """A part of the maintenance that failed, for one clinic or as a whole.

    Attributes:
        part: The part's name.
        clinic: The clinic's slug; empty if the whole part failed.
        error_class: The class of the error.
        message: A message without personal data.
    """

    part: str
    clinic: str
    error_class: str
    message: str


@dataclass(slots=True)
class MaintenanceRun:
    """One day's maintenance.

    Attributes:
        engine: The database of cases.
        rules: The policies of the checks, and how long records are kept.
        now: The present time; aware.
        counts: What was done, by its name in the metadata.
        findings: What the checks of yesterday found, each with the check's name.
        failures: The parts that failed.
    """

    engine: Engine
    rules: Rules
    now: datetime
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[str, CheckInput, Finding]] = field(default_factory=list)
    failures: list[PartFailure] = field(default_factory=list)

    def do(self) -> None:
        """Do every part, even when others fail."""
        self._try("audits", "", self._interrupt_audits)
        self._try("sessions", "", self._drop_sessions)
        self._try("leases", "", self._drop_leases)
        self._try("idempotency keys", "", self._drop_idempotency_keys)
        for name, prune in _PRUNED.items():
            self._try(name, "", partial(self._prune, name, prune))
        self._try("vendor shapes", "", self._prune_shapes)
        self._try("landed records", "", self._prune_records)
        self._try("yesterday", "", self._check_yesterday)
        self._try("adopted clinics", "", self._compare_adopted)

    def _try(self, part: str, clinic: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - reported at the end; the other parts go on
            self.failures.append(_failure(part, clinic, error))

    def _interrupt_audits(self) -> None:
        self.counts["audits_interrupted"] += 0
        with transaction(self.engine) as connection:
            clinics = clinics_with_unfinished_audits(connection)
        for clinic_id in clinics:
            with transaction(self.engine) as connection:
                marked = interrupt_orphans(connection, clinic_id, self.now)
            self.counts["audits_interrupted"] += len(marked)

    def _drop_sessions(self) -> None:
        with transaction(self.engine) as connection:
            self.counts["sessions_dropped"] = drop_expired_sessions(connection, self.now)

    def _drop_leases(self) -> None:
        with transaction(self.engine) as connection:
            self.counts["leases_dropped"] = drop_old_leases(connection)

    def _drop_idempotency_keys(self) -> None:
        self._in_batches("idempotency_keys_dropped", drop_expired_idempotency_keys, self.now)

    def _prune(self, name: str, prune: Callable[[Connection, datetime], int]) -> None:
        self._in_batches(f"{name.replace(' ', '_')}_pruned", prune, self.kept_since)

    def _prune_shapes(self) -> None:
        kept_since = max(self.kept_since, self.now - KEPT)
        self._in_batches("vendor_shapes_pruned", prune_shapes, kept_since)

    def _in_batches(
        self, name: str, delete: Callable[[Connection, datetime], int], before: datetime
    ) -> None:
        self.counts[name] += 0
        while True:
            with transaction(self.engine) as connection:
                deleted = delete(connection, before)
            if not deleted:
                return
            self.counts[name] += deleted

    def _prune_records(self) -> None:
        self.counts.update(landed_records_pruned=0, landed_records_kept=0)
        with transaction(self.engine) as connection:
            clinics = all_clinics(connection)
        for clinic in clinics:
            self._try("landed records", clinic.slug, partial(self._prune_records_of, clinic))

    def _prune_records_of(self, clinic: Clinic) -> None:
        pruned = prune_landed_records(
            self.engine, clinic, days=self.rules.retention_days, now=self.now
        )
        self.counts.update(landed_records_pruned=pruned.deleted, landed_records_kept=pruned.kept)

    def _check_yesterday(self) -> None:
        self.counts["clinics_checked"] += 0
        with transaction(self.engine) as connection:
            clinics = active_clinics(connection)
        for clinic in clinics:
            self._try("yesterday", clinic.slug, partial(self._check_yesterday_of, clinic))

    def _check_yesterday_of(self, clinic: Clinic) -> None:
        yesterday = business_date(self.now, clinic.zone) - timedelta(days=1)
        window = DateRange(yesterday, yesterday)
        for phase, check in DAILY_CHECKS:
            checked = latest_input(self.engine, self.rules, clinic, phase, window)
            # A sync may write between two reads of a check; a real problem is found twice.
            if list(check(checked)):
                again = latest_input(self.engine, self.rules, clinic, phase, window)
                self.findings += [(check.__name__, again, finding) for finding in check(again)]
        self.counts["clinics_checked"] += 1

    def _compare_adopted(self) -> None:
        self.counts.update(adopted_clinics_compared=0, adopted_clinics_agreeing=0)
        with transaction(self.engine) as connection:
            slugs = adopted_slugs(connection)
        for slug in slugs:
            self._try("adopted clinics", slug, partial(self._compare_adopted_clinic, slug))

    def _compare_adopted_clinic(self, slug: str) -> None:
        found = compare_and_keep(self.engine, slug, self.now)
        self.counts["adopted_clinics_compared"] += 1
        self.counts["adopted_clinics_agreeing"] += agrees(found.counts.summary)

    @property
    def kept_since(self) -> datetime:
        """The start of the retention period; what ended earlier is deleted."""
        return self.now - timedelta(days=self.rules.retention_days)


_PRUNED: dict[str, Callable[[Connection, datetime], int]] = {
    "failures": prune_resolved_failures,
    "alerts": prune_ended_alerts,
    "requests": prune_sync_requests,
}
"""Functions that delete a batch of what ended before a time, by what they delete."""


def _failure(part: str, clinic: str, error: Exception) -> PartFailure:
    name = type(error).__name__
    if isinstance(error, UserFacingError):
        return PartFailure(part, clinic, name, str(error))
    # The error's own message may quote personal data.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.name}, line {frame.lineno}"
    log.error("maintenance_broke", part=part, clinic=clinic, error=name, place=place)
    return PartFailure(part, clinic, name, f"unexpected {name} in {place}; please report it")
