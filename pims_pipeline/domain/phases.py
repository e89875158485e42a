"""The phases of a sync, and what each is called where: add a phase here first.

A phase has one name in audits, another as a Dagster asset, and another for the clients that ask
for it. All of them are in ``PHASES``; every map from one to another is read from it. What a
phase does is in ``inbound``, ``enrichment`` and ``reconciliation``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

PhaseScope = Literal["inbound", "cases", "reconcile"]
"""A single phase, as clients ask for it: a command, a route, a permission."""

Scope = Literal[PhaseScope, "full"]
"""What a client may ask to be synced."""

FULL: Literal["full"] = "full"
"""The scope of all phases, which is also the word for all of them in a run's tags."""

_FULL_JOB = "full_sync"


class Phase(StrEnum):
    """The phases in the order in which a full sync does them, by the names in their audits."""

    INBOUND = "inbound"
    CASES = "cases"
    RECONCILIATION = "reconciliation"

    @property
    def names(self) -> "PhaseNames":
        """What the phase is called elsewhere."""
        return PHASES[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseNames:
    """What a phase is called outside its audits.

    Attributes:
        asset: The Dagster asset that it makes.
        job: The Dagster job that does it alone.
        scope: The word by which clients ask for it.
        looks_back: Whether it covers days before today when no dates are given.
        looks_ahead: Whether it covers days after today when no dates are given.
    """

    asset: str
    job: str
    scope: PhaseScope
    looks_back: bool
    looks_ahead: bool

    @property
    def permission(self) -> str:
        """What an API key needs to start the phase."""
        return f"sync:{self.scope}"


PHASES: Mapping[Phase, PhaseNames] = MappingProxyType(
    {
        Phase.INBOUND: PhaseNames(
            asset="appointments",
            job="inbound_sync",
            scope="inbound",
            looks_back=False,
            looks_ahead=True,
        ),
        Phase.CASES: PhaseNames(
            asset="consultations",
            job="case_sync",
            scope="cases",
            looks_back=True,
            looks_ahead=False,
        ),
        Phase.RECONCILIATION: PhaseNames(
            asset="reconciliation",
            job="reconciliation_sync",
            scope="reconcile",
            looks_back=True,
            looks_ahead=True,
        ),
    }
)
