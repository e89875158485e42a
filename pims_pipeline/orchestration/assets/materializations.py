"""Turns the outcome of a phase into Dagster's metadata and failures.

These hold only counts, slugs, ids, links of these and our own messages, never personal data:
everyone with access to the Dagster UI can read them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import dagster as dg

from pims_pipeline.dagster_names import partition_key
from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.domain.outcome import Counts, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.sync.runner import ClinicReport

MAX_LISTED_IDS = 100
"""How many ids a partition's metadata lists; the audit has all of them."""

PROVENANCE = "`pims cases show ID` shows every change of a case, when and why"


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """What a phase did to every clinic of a run.

    Attributes:
        console: Where the metadata links to.
    """

    sync_type: Phase
    clinics: list[ClinicReport]
    run_id: str
    console: ConsoleLinks

    @property
    def failed(self) -> list[ClinicReport]:
        """The clinics with at least one failed window, by slug."""
        return [clinic for clinic in self.clinics if clinic.failures]

    def partitions(self) -> Iterator[tuple[str, dict[str, dg.MetadataValue]]]:
        """Yield the key and metadata of every partition that succeeded."""
        for clinic in self.clinics:
            for outcome in clinic.outcomes:
                for day in outcome.window:
                    links = self._links(clinic.slug, outcome.audit_id, day)
                    yield partition_key(clinic.slug, day), {**_metadata(outcome, day), **links}

    def _links(self, slug: str, audit_id: UUID, day: date) -> dict[str, dg.MetadataValue]:
        return {
            "console": dg.MetadataValue.url(self.console.changes(slug, audit_id, day)),
            "run_in_console": dg.MetadataValue.url(self.console.run(self.run_id)),
        }

    def failure(self) -> dg.Failure | None:
        """Return the failure that names the failed clinics; None if no clinic failed."""
        if not self.failed:
            return None
        ratio = f"{len(self.failed)} of {len(self.clinics)}"
        rows = [(clinic.slug, each) for clinic in self.failed for each in clinic.failures]
        messages = "; ".join(f"{slug}, {each.window}: {each.message}" for slug, each in rows)
        return dg.Failure(
            f"{self.sync_type} failed for {ratio} clinics: {messages}",
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
            # The adapters have already retried, and repeated logins lock accounts.
            allow_retries=False,
        )


def _metadata(outcome: PhaseOutcome, day: date) -> dict[str, dg.MetadataValue]:
    counts = outcome.by_date.get(day, Counts())
    metadata: dict[str, dg.MetadataValue] = {
        name: dg.MetadataValue.int(number)
        for name, number in {"found": counts.found, **counts.nonzero()}.items()
    }
    metadata["audit_id"] = dg.MetadataValue.text(str(outcome.audit_id))
    metadata["window"] = dg.MetadataValue.text(str(outcome.window))
    if outcome.changed_since:
        metadata["changed_since"] = dg.MetadataValue.timestamp(outcome.changed_since)
    metadata["duration_ms"] = dg.MetadataValue.int(outcome.duration_ms)
    quiet = counts.unchanged + counts.blocked + counts.skipped
    if outcome.sync_type is Phase.INBOUND:
        quiet += counts.left_out
    if outcome.changed_case_ids and counts.found > quiet:
        metadata["window_changed_case_ids"] = _ids(outcome.changed_case_ids)
        metadata["provenance"] = dg.MetadataValue.text(PROVENANCE)
    if outcome.deleted_case_ids and counts.deleted:
        metadata["window_deleted_case_ids"] = _ids(outcome.deleted_case_ids)
    if unreadable := sum(odd.count for odd in outcome.oddities):
        metadata["window_unreadable_fields"] = dg.MetadataValue.int(unreadable)
    if outcome.hold_id:
        metadata["hold_id"] = dg.MetadataValue.text(str(outcome.hold_id))
        metadata["hold_reason"] = dg.MetadataValue.text(str(outcome.hold_reason))
    if outcome.kept_by_hold_id:
        metadata["kept_by_hold_id"] = dg.MetadataValue.text(str(outcome.kept_by_hold_id))
    return metadata


def _ids(ids: Iterable[object]) -> dg.JsonMetadataValue:
    return dg.MetadataValue.json([str(each) for each in ids][:MAX_LISTED_IDS])


def table(rows: Iterable[dict[str, str]]) -> dg.TableMetadataValue:
    """Return a metadata table of rows that have the same columns."""
    records = [dg.TableRecord(row) for row in rows]
    names = list(records[0].data) if records else []
    columns = [dg.TableColumn(name, "string") for name in names]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


class ReportIOManager(dg.IOManager):
    """Fails the step of a phase whose report names failed clinics.

    There is nothing to store: the phases write to the database. ``assets.phases`` explains why
    the failure is raised here and not in the asset's body.
    """

    def handle_output(self, context: dg.OutputContext, obj: PhaseReport) -> None:
        """Raise the report's failure, if it has one."""
        context.log.debug("%s has reported", obj.sync_type.value)
        if failure := obj.failure():
            raise failure

    def load_input(self, context: dg.InputContext) -> None:
        """Loads nothing: later phases read the database.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(f"{context.asset_key.to_user_string()} is in the database")
