"""RunStarter that tests start: noted, and nothing else happens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pims_pipeline.dagster_names import SYNC_ID_TAG
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Scope
from pims_pipeline.operations.console.launching import RunConfig, SyncStage
from pims_pipeline.store.queries.syncs import StoredSync

RUNNING = SyncStage(status="running", has_ended=False)


@dataclass(frozen=True)
class Launch:
    """A run that was started."""

    scope: Scope
    slug: str
    window: DateRange
    tags: Mapping[str, str]
    config: RunConfig

    @property
    def sync_id(self) -> UUID:
        """The id by which it is found."""
        return UUID(self.tags[SYNC_ID_TAG])


@dataclass
class NotedRuns:
    """Notes what is started.

    Attributes:
        now: The stage of every sync.
        refusal: Why nothing is started; None if it is.
    """

    launched: list[Launch] = field(default_factory=list)
    now: SyncStage = RUNNING
    refusal: str | None = None

    def launch(
        self,
        scope: Scope,
        slug: str,
        window: DateRange,
        *,
        tags: Mapping[str, str],
        config: RunConfig,
    ) -> str:
        """See ``RunStarter``."""
        if self.refusal is not None:
            raise UserFacingError(self.refusal)
        self.launched.append(Launch(scope, slug, window, tags, config))
        return f"run-{len(self.launched)}"

    def run_of_sync(self, sync_id: UUID) -> str | None:
        """See ``RunStarter``."""
        known = {each.sync_id: f"run-{n}" for n, each in enumerate(self.launched, 1)}
        return known.get(sync_id)

    def stage(self, sync: StoredSync, now: datetime) -> SyncStage:  # noqa: ARG002 - the same for all
        """See ``RunStarter``."""
        return self.now
