"""The run configuration of assets; its fields show in the launchpad of the Dagster UI."""

from dataclasses import replace
from typing import TypeVar
from uuid import UUID

import dagster as dg
from pydantic import Field

from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.domain.schedules import MAX_BATCH
from pims_pipeline.store.holds import UnknownHold
from pims_pipeline.sync.phases.reconciliation import Approval

Number = TypeVar("Number", int, float)


class EnrichmentConfig(dg.Config):
    """The run configuration of the asset ``consultations``."""

    parallel_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=MAX_BATCH,
        description="Consultations to fetch in parallel; by default, the clinic's setting.",
    )


class ReconciliationConfig(dg.Config):
    """The run configuration of the asset ``reconciliation``."""

    deletion_guard_min: int | None = Field(
        default=None,
        ge=0,
        description="So many cases may always be retired; by default, the setting of that name.",
    )
    deletion_guard_percent: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Percentage of a window's active cases that may be retired at once; by "
        "default, the setting of that name.",
    )
    approve_hold: str | None = Field(
        default=None,
        description="The id of a hold to approve. Select exactly the partitions of the hold.",
    )
    approved_by: str = Field(
        default="an operator in the Dagster UI",
        description="The name of the person who approves the hold; recorded with it.",
    )

    def approval(self) -> Approval | None:
        """Return the approval of the hold in ``approve_hold``, if one is named.

        Raises:
            UnknownHold: If ``approve_hold`` is not a UUID.
        """
        if self.approve_hold is None:
            return None
        try:
            return Approval(UUID(self.approve_hold), self.approved_by)
        except ValueError:
            raise UnknownHold("approve_hold is not the id of a hold") from None

    def limits(self, policy: DeletionPolicy) -> DeletionPolicy:
        """Return the policy with the limits that are set here."""
        return replace(
            policy,
            min_orphans=_chosen(self.deletion_guard_min, policy.min_orphans),
            max_percent=_chosen(self.deletion_guard_percent, policy.max_percent),
        )


def _chosen(value: Number | None, default: Number) -> Number:
    return default if value is None else value
