"""External assets: the vendor's data that the phases read, and the tables that they write.

Dagster does not materialize these; they show in the lineage.
"""

import dagster as dg

from pims_pipeline.domain.phases import PHASE_OF_ASSET
from pims_pipeline.orchestration.assets.catalog import (
    ARCHITECTURE,
    OWNERS,
    RUNBOOK,
    SYNC,
    documents,
    table_metadata,
)

VENDOR_CALENDAR = dg.AssetSpec(
    "vendor_calendar",
    description="The clinics' calendars in their practice management systems. Listed in windows "
    "of at most 31 days; never written to.",
    group_name=SYNC,
    kinds={"api"},
    metadata=documents(f"{RUNBOOK}#errors-from-the-vendor"),
)
VENDOR_CONSULTATIONS = dg.AssetSpec(
    "vendor_consultations",
    description="The consultations in the clinics' practice management systems. Fetched one by "
    "one, when they are due; never written to.",
    group_name=SYNC,
    kinds={"api"},
    metadata=documents(f"{RUNBOOK}#errors-from-the-vendor"),
)
CASES = dg.AssetSpec(
    "cases",
    deps=list(PHASE_OF_ASSET),
    description="The table of cases, which applications read and users edit. The sync keeps "
    "users' edits: see docs/decisions/0006-people-edits-stand.md. `pims cases show ID` shows the "
    "history of a case.",
    group_name=SYNC,
    owners=OWNERS,
    kinds={"postgres", "table"},
    metadata={**table_metadata("cases"), **documents(f"{RUNBOOK}#a-case-looks-wrong")},
)
CASE_EVENTS = dg.AssetSpec(
    "case_events",
    deps=list(PHASE_OF_ASSET),
    description="Every change of every case: before, after, and the audit, run and partition "
    "that made it. Append-only.",
    group_name=SYNC,
    owners=OWNERS,
    kinds={"postgres", "table"},
    metadata={**table_metadata("case_events"), **documents(f"{ARCHITECTURE}#tables")},
)

EXTERNAL_ASSETS = (VENDOR_CALENDAR, VENDOR_CONSULTATIONS, CASES, CASE_EVENTS)
