"""The asset ``maintenance``: what has to be done once a day, and how it went.

A part that fails does not keep the others from being done; in the end the run fails and
names it. The same for clinics. When it runs is told in ``schedules``; what is deleted, in
``pims_pipeline.store.maintenance`` and ``pims_pipeline.sync.retention``.
"""

import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import dagster as dg
from sqlalchemy import Connection, Engine

from pims_pipeline.domain.clinics import Clinic, DateRange, business_date
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.orchestration.assets.catalog import (
    OPERATIONS,
    OWNERS,
    RUNBOOK,
    documents,
    what_to_do,
)
from pims_pipeline.orchestration.assets.materializations import table
from pims_pipeline.orchestration.checks.phases import DAILY_CHECKS, CheckInput, Finding, judge_alone
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.store.clinics import active_clinics, all_clinics
from pims_pipeline.store.database.clock import check_clock
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
from pims_pipeline.sync.retention import prune_landed_records

MAINTENANCE = "maintenance"
YESTERDAY_CHECK = "yesterday_holds"
MAX_LISTED = 100

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PartFailure:
    """A part of the maintenance that failed, for a clinic or altogether.

    Attributes:
        clinic: The slug; empty when it is not about one.
        message: Safe to show.
    """

    part: str
    clinic: str
    error_class: str
    message: str


@dataclass(slots=True)
class Sweep:
    """One day's maintenance, while it is done.

    Attributes:
        counts: What was done, by the name it is shown under.
        findings: What the checks found wrong with yesterday.
    """

    engine: Engine
    rules: Rules
    now: datetime
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[str, CheckInput, Finding]] = field(default_factory=list)
    failures: list[PartFailure] = field(default_factory=list)

    def do(self) -> None:
        """Do every part, whatever becomes of the others."""
        self._try("audits", "", self._interrupt_audits)
        self._try("sessions", "", self._drop_sessions)
        self._try("leases", "", self._drop_leases)
        self._try("idempotency keys", "", self._drop_idempotency_keys)
        for name, prune in _PRUNED.items():
            self._try(name, "", partial(self._prune, name, prune))
        self._try("landed records", "", self._forget_records)
        self._try("yesterday", "", self._look_at_yesterday)

    def _try(self, part: str, clinic: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - told at the end; the other parts go on
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

    def _forget_records(self) -> None:
        self.counts.update(landed_records_pruned=0, landed_records_kept=0)
        with transaction(self.engine) as connection:
            clinics = all_clinics(connection)
        for clinic in clinics:
            self._try("landed records", clinic.slug, partial(self._forget_records_of, clinic))

    def _forget_records_of(self, clinic: Clinic) -> None:
        gone = prune_landed_records(
            self.engine, clinic, days=self.rules.retention_days, now=self.now
        )
        self.counts.update(landed_records_pruned=gone.deleted, landed_records_kept=gone.kept)

    def _look_at_yesterday(self) -> None:
        self.counts["clinics_checked"] += 0
        with transaction(self.engine) as connection:
            clinics = active_clinics(connection)
        for clinic in clinics:
            self._try("yesterday", clinic.slug, partial(self._look_at_yesterday_of, clinic))

    def _look_at_yesterday_of(self, clinic: Clinic) -> None:
        yesterday = business_date(self.now, clinic.zone) - timedelta(days=1)
        window = DateRange(yesterday, yesterday)
        for sync_type, judge in DAILY_CHECKS:
            judged = judge_alone(self.engine, self.rules, clinic, sync_type, window)
            # A sync may have been writing between two reads; what is really wrong stays so.
            if list(judge(judged)):
                again = judge_alone(self.engine, self.rules, clinic, sync_type, window)
                self.findings += [(judge.__name__, again, finding) for finding in judge(again)]
        self.counts["clinics_checked"] += 1

    @property
    def kept_since(self) -> datetime:
        """What ended before then is older than it has to be kept."""
        return self.now - timedelta(days=self.rules.retention_days)


_PRUNED: dict[str, Callable[[Connection, datetime], int]] = {
    "failures": prune_resolved_failures,
    "alerts": prune_ended_alerts,
    "requests": prune_sync_requests,
}
"""By what it is called: deletes a batch of what ended before a moment."""


def _failure(part: str, clinic: str, error: Exception) -> PartFailure:
    name = type(error).__name__
    if isinstance(error, UserFacingError):
        return PartFailure(part, clinic, name, str(error))
    # Its own message may quote what it stumbled over.
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.name}, line {where.lineno}"
    log.error("maintenance_broke", part=part, clinic=clinic, error=name, place=place)
    return PartFailure(part, clinic, name, f"unexpected {name} in {place}; please report it")


def build_maintenance() -> dg.AssetsDefinition:
    """The asset ``maintenance``, with its check."""

    @dg.asset(
        name=MAINTENANCE,
        description=_DESCRIPTION,
        group_name=OPERATIONS,
        owners=OWNERS,
        kinds={"python", "postgres"},
        metadata=documents(f"{RUNBOOK}#maintenance"),
        check_specs=[
            dg.AssetCheckSpec(
                YESTERDAY_CHECK,
                asset=MAINTENANCE,
                description=_CHECK_DESCRIPTION,
                metadata=documents(f"{RUNBOOK}#{YESTERDAY_CHECK}"),
            )
        ],
    )
    def maintenance(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[Engine],
        rules: dg.ResourceParam[Rules],
    ) -> Iterator[dg.MaterializeResult[None]]:
        sweep = Sweep(store, rules, check_clock(store))
        sweep.do()
        for name, number in sweep.counts.items():
            context.log.info("%s: %s", name, number)
        yield dg.MaterializeResult(
            metadata=_metadata(sweep),
            check_results=[_check_result(sweep)],
        )
        if sweep.failures:
            raise _raised(sweep.failures)

    return maintenance


def _metadata(sweep: Sweep) -> dict[str, dg.MetadataValue]:
    numbers = {name: dg.MetadataValue.int(number) for name, number in sweep.counts.items()}
    return {
        **numbers,
        "parts_failed": dg.MetadataValue.int(len(sweep.failures)),
        "kept_since": dg.MetadataValue.text(sweep.kept_since.date().isoformat()),
    }


def _check_result(sweep: Sweep) -> dg.AssetCheckResult:
    rows = [
        {
            "check": name,
            "clinic": judged.clinic.slug,
            "window": str(judged.window),
            "finding": finding.what,
            "number": str(len(finding.items)),
            "items": ", ".join(str(item) for item in finding.items[:MAX_LISTED]),
        }
        for name, judged, finding in sweep.findings
    ]
    return dg.AssetCheckResult(
        check_name=YESTERDAY_CHECK,
        passed=not rows,
        metadata={
            "clinics": dg.MetadataValue.int(sweep.counts["clinics_checked"]),
            "found": dg.MetadataValue.int(len(rows)),
            **({"findings": table(rows)} if rows else {}),
        },
    )


def _raised(failures: Sequence[PartFailure]) -> dg.Failure:
    rows = [
        {
            "part": each.part,
            "clinic": each.clinic,
            "error": each.error_class,
            "message": each.message,
        }
        for each in failures
    ]
    told = "; ".join(
        " of ".join(filter(None, (each.part, each.clinic))) + f": {each.message}"
        for each in failures
    )
    return dg.Failure(
        f"parts of the maintenance failed, the others were done: {told}",
        metadata={"failed": table(rows)},
        allow_retries=False,
    )


_DESCRIPTION = """\
What is done once a day, in the night.

- audits of processes that died are marked `interrupted`;
- expired vendor sessions and idempotency keys are dropped;
- landed records, resolved failures, ended alerts and requests older than
  `PIMS_RETENTION_DAYS` are deleted (audits and case events never are);
- each active clinic's yesterday is planned for once more, which must change nothing.

No vendor is asked. **When it fails**, the failed step names what could not be done; the rest was
done. See docs/runbook.md, "Maintenance"."""

_CHECK_DESCRIPTION = (
    "Planning each active clinic's yesterday again, from what is stored, changes nothing. "
    f"{what_to_do(YESTERDAY_CHECK)}"
)
