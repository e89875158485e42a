"""A write of the application that is killed leaves nothing half."""

import os
import signal
from itertools import count
from multiprocessing.context import ForkServerContext

from sqlalchemy import Engine, event

from pims_pipeline.adoption.application import write_application
from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import SyncContext
from pims_pipeline_tests.adoption.live.live_clinic import DAYS, live_clinic
from pims_pipeline_tests.adoption.planted import V4Installation, plant_clinic
from pims_pipeline_tests.cli.invocation import everything
from pims_pipeline_tests.sync.bench import DAY, local

MOST_STATEMENTS = 60


def _no_provider(_: Clinic) -> None:
    raise AssertionError("nothing is requested from the vendor")


def _write_until_killed(url: str, fatal: int) -> None:
    """Runs in a process of its own; kills itself before its n-th statement or the commit."""
    engine = create_engine(url)
    seen = count(1)

    def strike(*_: object) -> None:
        if next(seen) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    with run_liveness(engine) as liveness:
        context = SyncContext(
            engine=engine,
            vault=Vault(bytes(32)),
            open_provider=_no_provider,  # type: ignore[arg-type]  # never called
            run_id="killed",
            liveness=liveness,
        )
        event.listen(engine, "before_cursor_execute", strike)
        event.listen(engine, "commit", strike)
        write_application(context, "riverbend", DAYS)
        event.remove(engine, "before_cursor_execute", strike)
        event.remove(engine, "commit", strike)


def ours_of(engine: Engine) -> dict[str, object]:
    """Our rows, except the leases of killed processes."""
    return {name: found for name, found in everything(engine).items() if name != "run_leases"}


def test_killed_before_every_other_statement_nothing_is_half_and_the_next_write_completes(
    engine: Engine,
    database_url: str,
    forks: ForkServerContext,
    deployed: V4Installation,
    wanted: AdoptionRequest,
) -> None:
    plant_clinic(deployed, DAY)
    live = live_clinic(engine, deployed, wanted)
    live.vendor.book("new", local(DAY, 17))
    live.sync()
    theirs, ours = deployed.checksum(), ours_of(engine)
    killed = 0
    for fatal in range(1, MOST_STATEMENTS, 2):
        process = forks.Process(target=_write_until_killed, args=(database_url, fatal))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        assert (deployed.checksum(), ours_of(engine)) == (theirs, ours), f"statement {fatal}"
    assert 8 < killed < MOST_STATEMENTS / 2 - 1

    assert deployed.checksum() != theirs
    assert live.to_write() == []
