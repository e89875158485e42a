"""``pims part start``: the doctor's checks that a part needs, and then the part, in place.

It is the entry of the image, so any command may follow. A vendor that is down, a browser that does
not start, or a login that cannot be decrypted stops clinics, not parts: they are left out, or
reported alone. ``pims doctor`` checks them.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import click

from pims_pipeline.cli.terminal.errors import Misused, Refused
from pims_pipeline.cli.terminal.interrupts import interruptible
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.domain.diagnosis.findings import CheckReport, FindingStatus, failed_checks
from pims_pipeline.local_trust.private_files import keep_files_private


@dataclass(frozen=True, slots=True)
class StartChecks:
    """The checks before a part starts.

    Attributes:
        needed: Those without which the part cannot work.
        reported: Those whose findings are shown, and stop nothing.
    """

    needed: tuple[str, ...]
    reported: tuple[str, ...] = ()


_DATABASE = ("database", "migrations")
CHECKS_OF: Mapping[tuple[str, ...], StartChecks] = {
    ("pims", "serve"): StartChecks(("api",)),
    ("pims", "part", "code-server"): StartChecks((*_DATABASE, "storage", "disk"), ("keys",)),
    ("pims", "part", "webserver"): StartChecks(("storage", "disk")),
    ("pims", "part", "daemon"): StartChecks(("storage", "disk")),
    # Dagster's own code servers, whose storage is their instance's.
    ("dagster", "api", "grpc"): StartChecks((*_DATABASE, "disk"), ("keys",)),
    ("dagster", "code-server", "start"): StartChecks((*_DATABASE, "disk"), ("keys",)),
}
"""By the first words of the command; all others start unchecked."""


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=examples("pims part start pims serve --host 0.0.0.0"),
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def start(command: tuple[str, ...]) -> None:
    """Check what a part needs, then run it in place of this process.

    COMMAND is the part's own, such as `pims serve`. If its settings, database or disk are wrong,
    what to do is printed, and it does not start. Commands that are no part start unchecked.
    """
    checks = checks_before(command)
    if checks is not None:
        _check(checks)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command that was asked for
    except OSError as error:
        raise Misused(f"cannot run {command[0]}: {(error.strerror or 'unknown').lower()}") from None


def checks_before(command: Sequence[str]) -> StartChecks | None:
    """The checks before a command starts; None if it is no part, or only shows its help."""
    if "--help" in command:
        return None
    return next(
        (checks for words, checks in CHECKS_OF.items() if tuple(command[: len(words)]) == words),
        None,
    )


def _check(checks: StartChecks) -> None:
    from pims_pipeline.cli.doctor.reports import reports_of  # noqa: PLC0415 - costs time

    keep_files_private()
    with interruptible():
        reports = reports_of((*checks.needed, *checks.reported))
    for line in _problems(reports):
        say(line, err=True)
    stopping = [name for name in failed_checks(reports) if name not in checks.reported]
    if stopping:
        raise Refused(
            f"not started, because of {' and '.join(stopping)}: do what is written above; "
            "`pims doctor` checks again"
        )


def _problems(reports: Iterable[CheckReport]) -> Iterable[str]:
    """A line for each finding that needs somebody."""
    for report in reports:
        for each in report.findings:
            if each.status in {FindingStatus.WARNING, FindingStatus.FAILED}:
                remedy = f"; {each.remedy}" if each.remedy else ""
                yield f"{report.name}: {each.status.value}: {each.text}{remedy}"
