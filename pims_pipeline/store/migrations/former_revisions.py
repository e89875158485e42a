"""Revisions from which this program cannot migrate, and what to do about each."""

from collections.abc import Set as AbstractSet

BASELINE = "0012"
"""The last revision of the baseline, and of the revisions that it replaces."""

_BEFORE_THE_BASELINE = frozenset(f"{number:04}" for number in range(1, int(BASELINE)))
"""Revisions of developers' databases that were never released."""


def unknown_revision_problem(current: AbstractSet[str], known: AbstractSet[str]) -> str | None:
    """Why tables at the revisions ``current`` cannot be migrated; None when they can.

    Args:
        current: The revisions of the database.
        known: All revisions of this program.
    """
    unknown = current - known
    if not unknown:
        return None
    at = f"the database is at revision {', '.join(sorted(unknown))}"
    if unknown <= _BEFORE_THE_BASELINE:
        return (
            f"{at}, one of those before the first release that were made into one baseline; "
            f"migrate it to {BASELINE} with a version of this program that still has them and "
            "then run `pims migrate` again, or start with an empty database (the embedded one: "
            "stop what uses it and delete the folder postgres under PIMS_HOME)"
        )
    return f"{at}, which this program does not know: a newer version made it; run that version"
