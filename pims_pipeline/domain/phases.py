"""The phases of a sync, and their names in audits, in Dagster and for clients.

Add a phase to ``PHASES`` first: every map between these names is read from it. What a phase does
belongs in ``inbound``, ``enrichment`` and ``reconciliation``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, get_args

PhaseScope = Literal["inbound", "cases", "reconcile"]
"""The name of one phase for clients: in commands, routes and permissions."""

Scope = Literal["inbound", "cases", "reconcile", "full"]
"""What a client may sync: one phase, or all of them."""

SCOPES: tuple[Scope, ...] = get_args(Scope)


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
    """The names of a phase outside its audits, and the days it covers when no dates are given.

    Attributes:
        scope: Its name for clients.
        asset: The Dagster asset that it materializes.
        job: The Dagster job of this phase alone.
        result: Its key in the result of a full sync.
        looks_back: Whether it covers days before today.
        looks_ahead: Whether it covers days after today.
    """

    scope: PhaseScope
    asset: str
    job: str
    result: Literal["inboundResult", "casesResult", "reconciliationResult"]
    looks_back: bool
    looks_ahead: bool

    @property
    def permission(self) -> str:
        """The permission that an API key needs to start the phase."""
        return f"sync:{self.scope}"


PHASES: Mapping[Phase, PhaseNames] = MappingProxyType(
    {
        Phase.INBOUND: PhaseNames(
            scope="inbound",
            asset="appointments",
            job="inbound_sync",
            result="inboundResult",
            looks_back=False,
            looks_ahead=True,
        ),
        Phase.CASES: PhaseNames(
            scope="cases",
            asset="consultations",
            job="case_sync",
            result="casesResult",
            looks_back=True,
            looks_ahead=False,
        ),
        Phase.RECONCILIATION: PhaseNames(
            scope="reconcile",
            asset="reconciliation",
            job="reconciliation_sync",
            result="reconciliationResult",
            looks_back=True,
            looks_ahead=True,
        ),
    }
)

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
"""The name of each scope in run tags and in the API's ``syncType``."""

PHASE_OF_ASSET: Mapping[str, Phase] = MappingProxyType(
    {names.asset: phase for phase, names in PHASES.items()}
)
