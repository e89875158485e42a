"""The names of our tags on Dagster's runs.

The API and the orchestration both write or read them, and may not see each other.
"""

from collections.abc import Iterable, Mapping
from uuid import UUID

ORIGIN_TAG = "pims/origin"
"""Who started the run: ``api`` or ``schedule``; absent when somebody did by hand."""

PHASE_TAG = "pims/phase"
"""``inbound``, ``cases``, ``reconciliation`` or ``full``."""

CLINIC_TAG = "pims/clinic"
"""The slug, when the run has one clinic."""

KEY_ID_TAG = "pims/key_id"
"""The id of the API key that asked for the run."""

SYNC_ID_TAG = "pims/sync_id"
"""The id that the API answered with; the run's first audit takes it."""

EACH_CLINIC_TAG = "pims/clinic."
"""How the name of a tag begins that a run has for each of its clinics; the slug follows."""


def clinic_tags(slugs: Iterable[str]) -> dict[str, str]:
    """The tags that say which clinics a run has.

    Dagster's pages find runs by exact tags, so that a run of many clinics carries one for
    each: ``pims/clinic.riverbend=yes`` finds every run of ``riverbend``.
    """
    named = list(slugs)
    tags = {f"{EACH_CLINIC_TAG}{slug}": "yes" for slug in named}
    return {CLINIC_TAG: named[0], **tags} if len(named) == 1 else tags


def clinics_tagged(tags: Mapping[str, str]) -> set[str]:
    """The clinics that ``clinic_tags`` put on a run; none where it was not asked."""
    return {name.removeprefix(EACH_CLINIC_TAG) for name in tags if name.startswith(EACH_CLINIC_TAG)}


def sync_id_of(tags: Mapping[str, str]) -> UUID | None:
    """The ``syncId`` that a run's tags tell, if they do; a tag that is no id tells none."""
    try:
        return UUID(tags[SYNC_ID_TAG])
    except (KeyError, ValueError):
        return None
