"""The phases of a sync, and their names in audits, in Dagster and for clients.

A phase has one name in audits, another as a Dagster asset, and another for the clients that
request it. All of them are in ``PHASES``; every map from one to another is read from it: jobs,
tags, permissions, commands, options, schedules, constraints. Add a phase here;
``pims_pipeline_tests/phases`` then fails until its asset, checks, route and results exist.
What a phase does belongs in ``inbound``, ``enrichment`` and ``reconciliation``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

# Type checkers and OpenAPI read these; a test compares them with the table.
PhaseName = Literal["inbound", "cases", "reconciliation"]
"""A phase by the name in its audits, where a document has the plain word."""

SyncType = Literal[PhaseName, "full"]
"""What a sync is called in the tag of its run and in the API's ``syncType``."""

PhaseScope = Literal["inbound", "cases", "reconcile"]
"""The name of one phase for clients: in commands, routes and permissions."""

Scope = Literal[PhaseScope, "full"]
"""What a client may ask to be synced: one phase, or all of them."""

ResultName = Literal["inboundResult", "casesResult", "reconciliationResult"]
"""A phase's part of a full sync's result."""


class Phase(StrEnum):
    """The phases by their names in audits, in the order of a full sync."""

    INBOUND = "inbound"
    CASES = "cases"
    RECONCILIATION = "reconciliation"

    @property
    def names(self) -> "PhaseNames":
        """The phase's other names, and the days it covers."""
        return PHASES[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseNames:
    """What a phase is called outside its audits, what it covers, and when it runs.

    Attributes:
        summary: What it does, in a sentence, as the help of its command says.
        scope: The name by which clients request it.
        asset: The Dagster asset that it makes.
        job: The Dagster job that does it alone.
        result: Its part of a full sync's result.
        looks_back: Whether it covers days before today.
        looks_ahead: Whether it covers days after today.
        schedule: The cron expression of a clinic that was given no other.
        schedule_help: What the cron expression decides, as the help of its option says.
    """

    summary: str
    scope: PhaseScope
    asset: str
    job: str
    result: ResultName
    looks_back: bool
    looks_ahead: bool
    schedule: str
    schedule_help: str

    @property
    def permission(self) -> str:
        """The permission that an API key needs to start the phase."""
        return f"sync:{self.scope}"


PHASES: Mapping[Phase, PhaseNames] = MappingProxyType(
    {
        Phase.INBOUND: PhaseNames(
            summary="Sync the calendar into appointments and cases.",
            scope="inbound",
            asset="appointments",
            job="inbound_sync",
            result="inboundResult",
            looks_back=False,
            looks_ahead=True,
            schedule="*/15 * * * *",
            schedule_help="When the calendar is synced.",
        ),
        Phase.CASES: PhaseNames(
            summary="Put the consultations of past appointments on their cases.",
            scope="cases",
            asset="consultations",
            job="case_sync",
            result="casesResult",
            looks_back=True,
            looks_ahead=False,
            schedule="0 */2 * * *",
            schedule_help="When consultations are fetched.",
        ),
        Phase.RECONCILIATION: PhaseNames(
            summary=(
                "Retire cases whose appointment is gone from the calendar; no row is deleted."
            ),
            scope="reconcile",
            asset="reconciliation",
            job="reconciliation_sync",
            result="reconciliationResult",
            looks_back=True,
            looks_ahead=True,
            schedule="0 2 * * *",
            schedule_help="When deleted appointments are looked for.",
        ),
    }
)

SCOPES: tuple[Scope, ...] = (*(names.scope for names in PHASES.values()), "full")

PHASES_OF: Mapping[Scope, tuple[Phase, ...]] = MappingProxyType(
    {**{names.scope: (phase,) for phase, names in PHASES.items()}, "full": tuple(PHASES)}
)
"""The phases of each scope, in their order."""

JOB_OF: Mapping[Scope, str] = MappingProxyType(
    {**{names.scope: names.job for names in PHASES.values()}, "full": "full_sync"}
)
"""The Dagster job of each scope."""

TYPE_OF: Mapping[Scope, str] = MappingProxyType(
    {**{names.scope: phase.value for phase, names in PHASES.items()}, "full": "full"}
)
"""What a sync is called in the tag of its run and in the API's ``syncType``: a ``SyncType``."""

PHASE_OF_ASSET: Mapping[str, Phase] = MappingProxyType(
    {names.asset: phase for phase, names in PHASES.items()}
)
