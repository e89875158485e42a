"""A clinic's calendar made up from a seed: the same seed, clinic, date and today give one day.

Edits belong in ``calendar``, the vendor's JSON in ``wire``. Random numbers come only from
generators seeded by name, and no clock is read: a day is the same whenever it is generated.
"""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zlib import crc32
from zoneinfo import ZoneInfo

from pims_pipeline.simulator.practice import vocabulary as words
from pims_pipeline.simulator.practice.clinics import SimulatedClinic
from pims_pipeline.simulator.practice.entries import (
    CONSULTATION_OFFSET,
    IDS_PER_DAY,
    Client,
    Entry,
    Kind,
    Patient,
)

_QUIET = timedelta(days=1)
"""How long what is still to come has not changed, so that a list of changes is short."""
_PLANNED_BEFORE = timedelta(days=60)
_NOW_HOUR = 14
_HOUSEHOLDS = 240
_OPENING = time(8)
_OPEN_MINUTES = 600
_HALF_HOUR = timedelta(minutes=30)
_WEEKEND_STARTS = 5


def seeded(*parts: object) -> random.Random:
    """A generator that depends on ``parts`` alone."""
    return random.Random(":".join(map(str, parts)))  # noqa: S311 - made-up data, nothing secret


@lru_cache(maxsize=64)
def households(seed: int, clinic: SimulatedClinic) -> tuple[tuple[Client, Patient], ...]:
    """The clinic's clients and patients; the same ones come again and again."""
    rng = seeded(seed, clinic.company_id, "households")
    return tuple(
        (_client(rng, clinic, 3000 + number), _patient(rng, 7000 + number))
        for number in range(_HOUSEHOLDS)
    )


def _client(rng: random.Random, clinic: SimulatedClinic, client_id: int) -> Client:
    first = rng.choice(words.FIRST_NAMES)
    last = rng.choice(words.LAST_NAMES)
    return Client(
        id=client_id,
        first_name=rng.choices((first, "", None), (94, 3, 3))[0],
        last_name=last,
        email=rng.choices((f"client{client_id}@example.com", "", None), (84, 8, 8))[0],
        phone=rng.choices((clinic.phone_format.format(client_id % 100), "", None), (88, 6, 6))[0],
        phone_label=rng.choice(("Mobile", "Home", "", None)),
    )


def _patient(rng: random.Random, patient_id: int) -> Patient:
    species, _, breeds, (lightest, heaviest) = rng.choices(
        words.SPECIES, [weight for _, weight, _, _ in words.SPECIES]
    )[0]
    weight = lightest + (heaviest - lightest) * rng.random()
    return Patient(
        id=patient_id,
        name=rng.choice(words.PET_NAMES),
        species=species,
        breed=rng.choice(breeds),
        weight_kg=round(weight, 3),
    )


def id_date(entry_id: int) -> date | None:
    """The date a generated id was made for, or ``None`` if it cannot be a generated one."""
    ordinal = entry_id // IDS_PER_DAY
    if not date.min.toordinal() <= ordinal <= date.max.toordinal():
        return None
    return date.fromordinal(ordinal)


def generate_day(
    seed: int,
    clinic: SimulatedClinic,
    day: date,
    today: date,
    appointments_per_day: int | None = None,
) -> tuple[Entry, ...]:
    """Everything in the clinic's calendar on ``day`` before anyone edits it.

    Appointments lie in opening hours, 08:00 to 18:00, with one deliberate exception: on a
    day when the clocks go forward the first of them is at the middle of the missing hour (a
    naive local time that does not exist), and on a day when they go back it is at the middle of
    the repeated hour. Vendors that keep naive times hold such records.
    """
    rng = seeded(seed, clinic.company_id, day)
    count = _appointment_count(rng, day) if appointments_per_day is None else appointments_per_day
    starts = _starts(rng, clinic.zone, day, count)
    books = households(seed, clinic)
    base = day.toordinal() * IDS_PER_DAY + clinic.ids_from
    now = datetime.combine(today, time(_NOW_HOUR))
    appointments = [
        _appointment(rng, books, base + 100 + place, start, now)
        for place, start in enumerate(starts)
    ]
    return (
        *(_planned(each, now) for each in (*_blocks(clinic, day, base), *_rosters(day, base))),
        *appointments,
    )


def _appointment_count(rng: random.Random, day: date) -> int:
    if day.weekday() < _WEEKEND_STARTS:
        return rng.randint(10, 14)
    return rng.randint(6, 8) if day.weekday() == _WEEKEND_STARTS else rng.randint(3, 4)


def _starts(rng: random.Random, zone: ZoneInfo, day: date, count: int) -> list[datetime]:
    opening = datetime.combine(day, _OPENING)
    starts = [
        opening + timedelta(minutes=(place * _OPEN_MINUTES // count) // 5 * 5)
        for place in range(count)
    ]
    odd = clock_change_time(zone, day)
    if odd is not None and starts:
        starts[0] = odd
    elif count > 1 and rng.random() < 0.2:  # noqa: PLR2004 - one day in five has a double booking
        starts[1] = starts[0]
    return starts


def clock_change_time(zone: ZoneInfo, day: date) -> datetime | None:
    """A half hour in the missing or repeated part of ``day``, if its clocks change."""
    midnight = datetime.combine(day, time())
    before = midnight.replace(tzinfo=zone).utcoffset()
    after = (midnight + timedelta(days=1)).replace(tzinfo=zone).utcoffset()
    if before == after:
        return None
    halves = (midnight + _HALF_HOUR * step for step in range(48))
    odd = [half for half in halves if _is_missing(half, zone) or _is_repeated(half, zone)]
    return odd[len(odd) // 2] if odd else None


def _is_missing(local: datetime, zone: ZoneInfo) -> bool:
    aware = local.replace(tzinfo=zone)
    return aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local


def _is_repeated(local: datetime, zone: ZoneInfo) -> bool:
    first = local.replace(tzinfo=zone, fold=0).utcoffset()
    return first != local.replace(tzinfo=zone, fold=1).utcoffset() and not _is_missing(local, zone)


def _appointment(
    rng: random.Random,
    books: tuple[tuple[Client, Patient], ...],
    entry_id: int,
    start: datetime,
    now: datetime,
) -> Entry:
    appointment_type, _, minutes = rng.choices(
        words.TYPES, [weight for _, weight, _ in words.TYPES]
    )[0]
    client, patient = rng.choice(books)
    walk_in = rng.random() < 0.04  # noqa: PLR2004 - a few come unannounced
    end = start + timedelta(minutes=minutes)
    status = _status(rng, start, now)
    opened = status in OPENED_STATUSES
    written = status in WRITTEN_STATUSES and rng.random() >= 0.04  # noqa: PLR2004 - some write late
    return Entry(
        id=entry_id,
        kind="appointment",
        start=start,
        end=end,
        status=status,
        type=appointment_type,
        title=appointment_type or "Appointment",
        reason=rng.choice(words.REASONS),
        patient=None if walk_in else patient,
        client=None if walk_in else client,
        provider=rng.choice((*words.PROVIDERS, None)),
        room=rng.choice((*words.ROOMS, None)),
        last_updated_at=_last_update(rng, start, end, now),
        consultation_id=entry_id + CONSULTATION_OFFSET if opened else None,
        arrival=start - timedelta(minutes=rng.randint(0, 12)) if opened else None,
        walk_in=walk_in,
        notes_written=written,
        cancelled_reason="Owner cancelled by phone" if status == "Cancelled" else None,
        status_before="Confirmed" if status == "Cancelled" else None,
    )


OPENED_STATUSES = frozenset({"In Progress", "Ready to Pay", "Finalized"})
"""Statuses of an appointment whose consultation is opened."""

WRITTEN_STATUSES = frozenset({"Ready to Pay", "Finalized"})
"""Statuses of an appointment whose notes are normally written."""


def _status(rng: random.Random, start: datetime, now: datetime) -> str:
    """A status that fits an appointment at ``start``, when it is two in the afternoon of today."""
    if start < now - timedelta(hours=1):
        return rng.choices(
            ("Finalized", "Ready to Pay", "No Show", "Cancelled"), (78, 7, 7, 8)
        )[0]  # fmt: skip
    if start <= now:
        return rng.choices(("In Progress", "Ready to Pay", "not arrived"), (70, 20, 10))[0]
    return rng.choices(("not arrived", "Confirmed", "Cancelled"), (50, 42, 8))[0]


def _last_update(
    rng: random.Random, start: datetime, end: datetime, now: datetime
) -> datetime | None:
    after = end + timedelta(minutes=rng.randint(1, 90), seconds=rng.randint(0, 59))
    before = start - timedelta(days=rng.randint(1, 30), minutes=rng.randint(0, 600))
    if rng.random() < 0.03:  # noqa: PLR2004 - some records carry none
        return None
    return after if after <= now else min(before, now - _QUIET)


def _planned(entry: Entry, now: datetime) -> Entry:
    """The block or shift as it was planned, long before its day."""
    return replace(entry, last_updated_at=min(entry.start - _PLANNED_BEFORE, now - _QUIET))


def _blocks(clinic: SimulatedClinic, day: date, base: int) -> list[Entry]:
    """The recurring lunch of every weekday, and a meeting whose day depends on the clinic."""
    if day.weekday() >= _WEEKEND_STARTS:
        return []
    lunch = _staff_entry(base + 1, "block", datetime.combine(day, time(12, 30)), 30, title="Lunch")
    blocks = [replace(lunch, recurring=True)]
    if day.weekday() == crc32(clinic.company_id.encode()) % _WEEKEND_STARTS:
        title = words.BLOCK_TITLES[day.day % len(words.BLOCK_TITLES)]
        afternoon = datetime.combine(day, time(16))
        blocks.append(_staff_entry(base + 2, "block", afternoon, 45, title=title))
    return blocks


def _rosters(day: date, base: int) -> list[Entry]:
    """An on-call night that starts at midnight, and on weekdays two vets' shifts."""
    midnight = datetime.combine(day, time())
    vet = words.PROVIDERS[day.toordinal() % len(words.PROVIDERS)]
    night = _staff_entry(base + 10, "roster", midnight, 480, title=f"On call: {vet}")
    rosters = [replace(night, provider=vet)]
    for place, name in enumerate(words.PROVIDERS[:2] if day.weekday() < _WEEKEND_STARTS else ()):
        start = midnight + timedelta(hours=8 + place)
        shift = _staff_entry(base + 11 + place, "roster", start, 540, title=name)
        rosters.append(replace(shift, provider=name, recurring=True))
    return rosters


def _staff_entry(entry_id: int, kind: Kind, start: datetime, minutes: int, *, title: str) -> Entry:
    return Entry(
        id=entry_id,
        kind=kind,
        start=start,
        end=start + timedelta(minutes=minutes),
        status="not arrived",
        type=None,
        title=title,
        reason=None,
        patient=None,
        client=None,
        provider=None,
        room=None,
        last_updated_at=None,
    )
