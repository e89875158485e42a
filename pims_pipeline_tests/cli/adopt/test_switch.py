"""``pims adopt switch``: what it prints and refuses, and that status shows it."""

import pytest
from sqlalchemy import Engine

from pims_pipeline.store.adoptions import record_diff
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.adoption.planted import (
    KEY,
    KEY_VARIABLE,
    PlantedClinic,
    V4Installation,
    plant_clinic,
)
from pims_pipeline_tests.cli.adopt.test_adopt import DAY, RUN
from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything

SWITCH = ("adopt", "switch", "--clinic=riverbend")


@pytest.fixture
def adopted(pims: Pims, deployed: V4Installation) -> PlantedClinic:
    """A clinic in shadow that was never compared."""
    planted = plant_clinic(deployed, DAY)
    assert pims(*RUN, **{KEY_VARIABLE: KEY}).exit_code == 0
    return planted


def test_a_clinic_is_switched_and_back_and_status_shows_both(
    pims: Pims, engine: Engine, adopted: PlantedClinic
) -> None:
    with transaction(engine) as connection:
        record_diff(connection, adopted.id, {"syncedHere": True, "differences": 2})

    live = pims(*SWITCH, "--accept=2")
    again = pims(*SWITCH)
    status = document(pims("adopt", "status", "--json"))
    back = pims(*SWITCH, "--back")
    twice = pims(*SWITCH, "--back")

    assert "riverbend is live: its schedule in v4.0 is off" in live.output
    assert "is live already; nothing was changed" in again.output
    (clinic,) = status["clinics"]
    assert clinic["mode"] == "live"
    assert clinic["steps"][-1]["details"]["accepted"] == 2
    assert "is in mode shadow: its schedule in v4.0 is on again" in back.output
    assert "is not live; nothing was changed" in twice.output
    shown = pims("adopt", "status").output
    assert "switch  accepted 2, differences 2" in shown
    assert "switch back" in shown


@pytest.mark.usefixtures("adopted")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "it was never compared"),
        (("--accept=5",), "it was never compared"),
        (("--accept=-1",), "--accept"),
        (("--accept=many",), "--accept"),
        (("--accept=1", "--back"), "give one of them"),
    ],
)
def test_a_refusal_is_one_line_and_changes_nothing(
    pims: Pims, engine: Engine, deployed: V4Installation, options: tuple[str, ...], said: str
) -> None:
    before = deployed.checksum(), everything(engine)

    assert said in error_line(pims(*SWITCH, *options))

    assert (deployed.checksum(), everything(engine)) == before


def test_a_clinic_that_was_not_adopted_is_not_switched(pims: Pims, registered: str) -> None:
    for option in ("--accept=0", "--back"):
        line = error_line(pims("adopt", "switch", f"--clinic={registered}", option))
        assert "was not adopted" in line
