"""``pims doctor``: check the installation, and say what to do.

What is checked belongs in ``diagnosis``, one function each.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from pims_pipeline.cli.doctor.reports import reports_of
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.interrupts import interruptible
from pims_pipeline.cli.terminal.options import examples, json_option
from pims_pipeline.cli.terminal.streams import print_json
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.diagnosis.checks import NAMES
from pims_pipeline.domain.diagnosis.findings import (
    CheckReport,
    FindingStatus,
    failed_checks,
    selected,
)
from pims_pipeline.local_trust.private_files import keep_files_private
from pims_pipeline.store.database.clock import utc_now

_Function = TypeVar("_Function", bound=Callable[..., Any])
_HEADINGS = ["Check", "Status", "Found", "What to do"]
_SHOWN = {FindingStatus.WARNING: "WARNING", FindingStatus.FAILED: "FAILED"}


def _checks_option(name: str, destination: str, text: str) -> Callable[[_Function], _Function]:
    """An option that names checks, several times."""
    return click.option(
        name,
        destination,
        type=click.Choice(NAMES[1:]),
        multiple=True,
        help=f"{text} Repeat it for several.",
    )


@click.command(
    epilog=examples(
        "pims doctor",
        "pims doctor --skip vendors --skip dagster",
        "pims doctor --only database --only migrations --json",
    )
)
@_checks_option("--only", "only", "Run this check only, besides that of the settings.")
@_checks_option("--skip", "skip", "Do not run this check.")
@json_option('`{"ok": …, "checks": [{"name": …, "status": …, "findings": […]}], "timestamp": …}`')
def doctor(*, only: tuple[str, ...], skip: tuple[str, ...], as_json: bool) -> None:
    """Check the installation, and say what to do about what is wrong.

    Checks the settings, the database and its tables, the encryption keys, the browser, the vendors'
    hosts, Dagster and the disk. Nothing is created, migrated or logged in to. A check that needs
    another one is left out when that cannot go on; one that hangs is reported after its timeout.
    The exit status is 1 if a check failed; a warning is no failure. docs/doctor.md describes each
    check.
    """
    keep_files_private()
    with interruptible():
        reports = reports_of(selected(NAMES[1:], only=only, skip=skip))
    if as_json:
        from pims_pipeline.wire.health import Diagnosis  # noqa: PLC0415 - a table needs no models

        print_json(Diagnosis.of(reports, utc_now()))
    else:
        print_table(_HEADINGS, _rows(reports), empty="Nothing was checked.")
    if failed := failed_checks(reports):
        raise Refused(
            f"{', '.join(failed)} failed; do what is written beside each, see docs/doctor.md, and "
            "run `pims doctor` again"
        )


def _rows(reports: Sequence[CheckReport]) -> list[tuple[str, str, str, str]]:
    """A row for each finding; a check's name is in its first row only."""
    return [
        (
            "" if number else report.name,
            _SHOWN.get(each.status, each.status.value),
            each.text,
            each.remedy,
        )
        for report in reports
        for number, each in enumerate(report.findings)
    ]
