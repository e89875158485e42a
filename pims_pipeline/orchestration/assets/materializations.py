"""What a phase did to the clinics of a run, and how that is told to Dagster.

The numbers and messages come from the phases; here they become metadata and failures.
Everything told is a count, a slug, an id or a message of our own: never personal data,
because Dagster shows it to whoever may see runs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import dagster as dg

from pims_pipeline.dagster_names import partition_key
from pims_pipeline.domain.outcome import Counts, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.sync.runner import ClinicReport

MAX_LISTED_IDS = 100
"""How many ids a partition's metadata lists; the audit names them all."""

PROVENANCE = "`pims cases show ID` tells what happened to a case, when, and why"


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """What a phase did to every clinic of a run."""

    sync_type: Phase
    clinics: list[ClinicReport]

    @property
    def failed(self) -> list[ClinicReport]:
        """The clinics of which at least one window failed, by slug."""
        return [clinic for clinic in self.clinics if clinic.failures]

    def partitions(self) -> Iterator[tuple[str, dict[str, dg.MetadataValue]]]:
        """The key and metadata of every partition that the phase got through."""
        for clinic in self.clinics:
            for outcome in clinic.outcomes:
                for day in outcome.window:
                    yield partition_key(clinic.slug, day), _metadata(outcome, day)

    def failure(self) -> dg.Failure | None:
        """The failure that names the clinics that failed; None when all is well."""
        if not self.failed:
            return None
        ratio = f"{len(self.failed)} of {len(self.clinics)}"
        rows = [(clinic.slug, each) for clinic in self.failed for each in clinic.failures]
        told = "; ".join(f"{slug}, {each.window}: {each.message}" for slug, each in rows)
        return dg.Failure(
            f"{self.sync_type} failed for {ratio} clinics: {told}",
            metadata={
                "failed": table(
                    {
                        "clinic": slug,
                        "window": str(each.window),
                        "error": each.error_class,
                        "message": each.message,
                    }
                    for slug, each in rows
                ),
                "failed_clinics": len(self.failed),
                "failed_partitions": sum(len(clinic.failed_days) for clinic in self.failed),
                "partitions_done": sum(1 for _ in self.partitions()),
            },
            # The adapters have tried again what is worth it; logins must never be multiplied.
            allow_retries=False,
        )


def _metadata(outcome: PhaseOutcome, day: date) -> dict[str, dg.MetadataValue]:
    counts = outcome.by_date.get(day, Counts())
    told: dict[str, dg.MetadataValue] = {
        name: dg.MetadataValue.int(number)
        for name, number in {"found": counts.found, **counts.nonzero()}.items()
    }
    told["audit_id"] = dg.MetadataValue.text(str(outcome.audit_id))
    told["window"] = dg.MetadataValue.text(str(outcome.window))
    told["duration_ms"] = dg.MetadataValue.int(outcome.duration_ms)
    quiet = counts.unchanged + counts.blocked + counts.skipped
    if outcome.changed_case_ids and counts.found > quiet:
        told["window_changed_case_ids"] = _ids(outcome.changed_case_ids)
        told["provenance"] = dg.MetadataValue.text(PROVENANCE)
    if outcome.deleted_case_ids and counts.deleted:
        told["window_deleted_case_ids"] = _ids(outcome.deleted_case_ids)
    if unreadable := sum(odd.count for odd in outcome.oddities):
        told["window_unreadable_fields"] = dg.MetadataValue.int(unreadable)
    if outcome.hold_id:
        told["hold_id"] = dg.MetadataValue.text(str(outcome.hold_id))
        told["hold_reason"] = dg.MetadataValue.text(str(outcome.hold_reason))
    if outcome.kept_by_hold_id:
        told["kept_by_hold_id"] = dg.MetadataValue.text(str(outcome.kept_by_hold_id))
    return told


def _ids(ids: Iterable[object]) -> dg.JsonMetadataValue:
    return dg.MetadataValue.json([str(each) for each in ids][:MAX_LISTED_IDS])


def table(rows: Iterable[dict[str, str]]) -> dg.TableMetadataValue:
    """A metadata table; every row has the same columns. An empty one has none."""
    records = [dg.TableRecord(row) for row in rows]
    names = list(records[0].data) if records else []
    columns = [dg.TableColumn(name, "string") for name in names]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


class ReportIOManager(dg.IOManager):
    """Takes the phases' reports; fails the step of one that tells of failures.

    What the phases make lies in the database already, so there is nothing to store. Why
    the failure is raised here rather than in the asset's body is told in ``assets``.
    """

    def handle_output(self, context: dg.OutputContext, obj: PhaseReport) -> None:
        """Raise the report's failure, if it has one."""
        context.log.debug("%s has reported", obj.sync_type.value)
        if failure := obj.failure():
            raise failure

    def load_input(self, context: dg.InputContext) -> None:
        """Nothing can be loaded: later phases read the database.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(f"{context.asset_key.to_user_string()} lies in the database")
