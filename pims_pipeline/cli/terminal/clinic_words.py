"""A clinic's words and its vendor's description of it, as a person reads them."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import product

from pims_pipeline.domain.records.profiles import Location, ZoneMatch
from pims_pipeline.domain.records.word_uses import WordBasis, WordUse
from pims_pipeline.domain.records.words import WordKind
from pims_pipeline.operations.descriptions import DescribedClinic

_MOST_GUESSES = 10
"""How many guessed words of one kind are shown; the rest are counted."""
_HOW = {WordBasis.UNKNOWN: "not known", WordBasis.PART: "guessed from a part of each"}


def command_for(slug: str, use: WordUse) -> str:
    """The command that sets what a word means, for a person to complete."""
    # A vendor's word may hold what a shell would act on.
    return f"pims clinics words {slug} --{use.kind} {shlex.quote(f'{use.word}=…')}"


def facts(described: DescribedClinic) -> Iterator[str]:
    """What the vendor says about the clinic, one line for each fact."""
    profile = described.profile
    if profile.zone is not None:
        yield f"The vendor's time zone: {profile.zone}"
    if profile.locations is not None:
        shown = "; ".join(map(_location, profile.locations)) or "none"
        yield f"The locations that it opens: {shown}"
    if profile.location_id is not None:
        yield f"The location that is synced: {profile.location_id}"


def warnings(described: DescribedClinic) -> Iterator[str]:
    """What a person should look at, one line each."""
    slug, ours, theirs = described.clinic.slug, described.clinic.timezone, described.profile.zone
    if described.failure is not None:
        yield f"The vendor does not describe the clinic; syncs do not need it. {described.failure}"
    if described.zone is ZoneMatch.DIFFERENT:
        yield (
            f"The vendor's time zone of {slug} is {theirs}, and ours is {ours}. If theirs is "
            f"right: pims clinics timezone {slug} {theirs}"
        )
    if described.zone is ZoneMatch.UNREADABLE:
        yield (
            f"The vendor writes the time zone of {slug} as {theirs!r}, which is no IANA name; ours "
            f"is {ours}. If that is wrong: pims clinics timezone {slug} ZONE"
        )
    for kind, (basis, how) in product(WordKind, _HOW.items()):
        uses = [each for each in described.guesses if (each.kind, each.basis) == (kind, basis)]
        if uses:
            yield _guesses(slug, uses, how)


def _guesses(slug: str, uses: Sequence[WordUse], how: str) -> str:
    shown = ", ".join(f"{each.word!r} ({each.meaning})" for each in uses[:_MOST_GUESSES])
    more = f", and {len(uses) - _MOST_GUESSES} more" if len(uses) > _MOST_GUESSES else ""
    return (
        f"Of these {uses[0].kind} words the meaning is {how}: {shown}{more}. If one is wrong: "
        f"{command_for(slug, uses[0])}"
    )


def _location(location: Location) -> str:
    zone = f" ({location.timezone})" if location.timezone else ""
    return " ".join(part for part in (location.id, location.name) if part) + zone
