"""The phases of a sync, and what each is called where. A new phase is added here first.

A phase has one name in audits, another as a Dagster asset, and another for the clients that ask
for it. All of them are in ``PHASES``; every map from one to another is read from it. What a
phase does is in ``inbound``, ``enrichment`` and ``reconciliation``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, get_args

PhaseScope = Literal["inbound", "cases", "reconcile"]
"""One phase, as clients ask for it: in a command, a route, a permission."""

Scope = Literal["inbound", "cases", "reconcile", "full"]
"""What a client may ask to be synced: one phase, or all of them."""

SCOPES: tuple[Scope, ...] = get_args(Scope)


class Phase(StrEnum):
    """The phases in the order in which a full sync does them, by the names in their audits."""

    INBOUND = "inbound"
    CASES = "cases"
    RECONCILIATION = "reconciliation"

    @property
    def names(self) -> "PhaseNames":
        """What the phase is called elsewhere, and what it covers."""
        return PHASES[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseNames:
    """What a phase is called outside its audits, and what it covers when no dates are given.

    Attributes:
        scope: The word by which clients ask for it.
        asset: The Dagster asset that it makes.
        job: The Dagster job that does it alone.
        result: Its part of a full sync's result.
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
        """What an API key needs to start the phase."""
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
"""What is done for what a client asks for, in this order."""

JOB_OF: Mapping[Scope, str] = MappingProxyType(
    {**{names.scope: names.job for names in PHASES.values()}, "full": "full_sync"}
)
"""The Dagster job for what a client asks for."""

TYPE_OF: Mapping[Scope, str] = MappingProxyType(
    {**{names.scope: phase.value for phase, names in PHASES.items()}, "full": "full"}
)
"""The word for it in the tag of a run and in the API's ``syncType``."""

PHASE_OF_ASSET: Mapping[str, Phase] = MappingProxyType(
    {names.asset: phase for phase, names in PHASES.items()}
)
