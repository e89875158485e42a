"""What the vendor changed since the calendar was last listed: a cheap inbound between listings.

Changes never prove an absence; only what the vendor itself calls deleted or moved counts as such.
Each request goes back to the last whole listing, and not to the last changes: what one response
lacked, the next one holds, and the next listing corrects what no response held.
"""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from pims_pipeline.domain.planning.left_out import marked
from pims_pipeline.domain.records.appointments import Snapshot
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.providers.port import Capability, ContractViolation, TransientError
from pims_pipeline.store.database.retries import in_transaction
from pims_pipeline.store.queries.whole_listings import last_whole_listing
from pims_pipeline.sync.phases.audited import PhaseRun
from pims_pipeline.sync.phases.listing import asked_between
from pims_pipeline.sync.session import ProviderSession

VENDOR_DELAY = timedelta(minutes=10)
"""How far before the last listing the changes begin: the vendor's clock may be behind ours, and a
change may become visible some time after the moment that is noted for it."""

log = get_logger(__name__)


def changes_since_listing(phase: PhaseRun, session: ProviderSession) -> Snapshot | None:
    """What changed in the window since its last whole listing.

    None if the calendar must be listed: the run wants a listing, the provider cannot list changes,
    the last listing is too old or does not cover the window (``last_whole_listing``), or the
    changes could not be read wholly.

    Raises:
        PimsError: From the request, unless a listing may succeed all the same.
    """
    age = phase.context.whole_listing_age
    if not age or not session.has(Capability.CHANGES):
        return None
    asked_at = phase.now()
    listed_at = in_transaction(
        phase.context.engine,
        partial(
            last_whole_listing,
            clinic=phase.clinic,
            window=phase.window,
            after=asked_at - age,
            now=asked_at,
        ),
    )
    if listed_at is None:
        return None
    since = listed_at - VENDOR_DELAY
    try:
        changes = session.changes_since(since, phase.window)
    except (TransientError, ContractViolation) as error:
        # The listing shows whether the vendor fails, or only here.
        log.warning("changes_unreadable", error_class=type(error).__name__)
        return None
    if changes is None or changes.quarantined or changes.window != phase.window:
        return None
    fetched_at = asked_between(asked_at, changes.fetched_at, phase.now())
    changes = replace(changes, fetched_at=fetched_at, proof=None, changed_since=since)
    return marked(changes, phase.clinic.resources)
