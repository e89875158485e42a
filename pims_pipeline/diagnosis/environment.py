"""The check of the settings: wrong values, ignored variables, misspelled names. Pure.

Values never appear here: a secret may be in the wrong variable.
"""

import difflib
from collections.abc import Collection, Iterator, Sequence

from pims_pipeline.domain.diagnosis.findings import CheckReport, DoctorFinding

SETTINGS = "settings"
"""The name of the check."""
_OURS = "PIMS_"


def settings_report(
    *,
    problems: Sequence[str] = (),
    ignored: Sequence[tuple[str, str]] = (),
    exposed: Sequence[str] = (),
    present: Collection[str],
    known: Collection[str],
) -> CheckReport:
    """What is to say of the environment.

    Args:
        problems: One sentence for each wrong variable: its name, and what to write.
        ignored: Variables that are set and not read, each with the one that is read instead.
        exposed: Variables that name a file which every user of the machine may read.
        present: The names of all variables of the environment.
        known: Those that the program reads.
    """
    findings = [
        *(DoctorFinding.failed(each) for each in problems),
        *(
            DoctorFinding.warning(
                f"{name} is ignored, because {used} has another value", f"unset {name}"
            )
            for name, used in ignored
        ),
        *(
            DoctorFinding.warning(
                f"the file of {name} may be read by every user of this machine",
                "chown it to the user who runs the pipeline, then chmod 0400",
            )
            for name in exposed
        ),
        *_misspelled(present, known),
    ]
    ours = len(set(present) & set(known))
    sound = DoctorFinding.ok(f"{ours} {'variable is' if ours == 1 else 'variables are'} set")
    return CheckReport(name=SETTINGS, findings=tuple(findings) or (sound,))


def _misspelled(present: Collection[str], known: Collection[str]) -> Iterator[DoctorFinding]:
    """Variables that look like ours and are not read."""
    for name in sorted(set(present) - set(known)):
        if not name.startswith(_OURS):
            continue
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"write {close[0]}" if close else "see docs/settings.md for the names"
        yield DoctorFinding.warning(
            f"{name} is no setting, and is not read", f"{meant}, or unset it"
        )
