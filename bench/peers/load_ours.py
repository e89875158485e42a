"""One load of the same appointments with this pipeline: plan, three tables, and events.

What ``bench/bulk_inbound.py`` measures, on a database of ``bench/peers.py``.
"""

import os
from datetime import UTC, date, datetime, timedelta

from bulk_inbound import DAYS, calendar, sync
from timing import timed

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.records.appointments import Proof, Snapshot
from pims_pipeline.providers.port import PimsProvider
from pims_pipeline.store.clinics import all_clinics
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import SyncContext


def main() -> None:
    """Load the appointments of the only clinic."""
    start = date(2026, 1, 1)
    window = DateRange(start, start + timedelta(days=DAYS - 1))
    engine = create_engine(os.environ["PEER_DATABASE_URL"])
    with transaction(engine) as connection:
        (clinic,) = all_clinics(connection)
    with run_liveness(engine) as liveness:
        context = SyncContext(
            engine=engine,
            vault=Vault(bytes(32)),
            open_provider=no_provider,
            run_id="bench",
            liveness=liveness,
        )
        snapshot = Snapshot(
            window=window,
            appointments=calendar(start),
            fetched_at=datetime.now(UTC),
            proof=Proof.ONE_RESPONSE,
        )
        timed(lambda: sync(context, clinic, snapshot))
    engine.dispose()


def no_provider(_: Clinic) -> PimsProvider:
    """Nothing is fetched here."""
    raise AssertionError("this benchmark has no provider")


if __name__ == "__main__":
    main()
