"""``pims adopt run`` that is killed before any statement leaves nothing; the next run completes."""

import os
import signal
from datetime import date
from itertools import count
from multiprocessing.context import ForkServerContext

from sqlalchemy import Engine, event

from pims_pipeline.adoption.importing import AdoptionRequest
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline_tests.adoption.planted import V4Installation, plant_clinic
from pims_pipeline_tests.adoption.ways import adopted, rows
from pims_pipeline_tests.cli.invocation import everything

DAY = date(2026, 3, 20)
MOST_STATEMENTS = 100


def _adopt_until_killed(url: str, request: AdoptionRequest, fatal: int) -> None:
    """Runs in a process of its own; kills itself before its n-th statement or the commit."""
    engine = create_engine(url)
    seen = count(1)

    def strike(*_: object) -> None:
        if next(seen) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", strike)
    event.listen(engine, "commit", strike)
    adopted(engine, request)


def test_killed_before_any_statement_nothing_is_half_and_the_next_run_completes(
    engine: Engine,
    database_url: str,
    forks: ForkServerContext,
    deployed: V4Installation,
    wanted: AdoptionRequest,
) -> None:
    planted = plant_clinic(deployed, DAY)
    theirs, ours = deployed.checksum(), everything(engine)
    killed = 0
    for fatal in range(1, MOST_STATEMENTS):
        process = forks.Process(target=_adopt_until_killed, args=(database_url, wanted, fatal))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        assert everything(engine) == ours, f"killed before statement {fatal}"
    assert 15 < killed < MOST_STATEMENTS - 1

    found = rows(engine, "SELECT pims_id, id FROM cases")
    assert {row.pims_id: row.id for row in found} == planted.linked
    assert deployed.checksum() == theirs
