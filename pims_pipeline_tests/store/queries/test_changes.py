"""The change feed: every change once and in order, however its transactions overlap."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.cases import CaseEvent, EventKind
from pims_pipeline.store.audits import start_audit
from pims_pipeline.store.cases.events import record_events
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.queries.changes import Change, changes_after, last_change

NOW = datetime(2026, 3, 29, 4, 30, tzinfo=UTC)
DAY = date(2026, 3, 29)
WRITERS = 8
ROUNDS = 12
Write = Callable[[Connection, Clinic, UUID, Sequence[UUID]], None]


def audit_of(engine: Engine, clinic: Clinic) -> UUID:
    with transaction(engine) as connection:
        return start_audit(
            connection,
            clinic=clinic,
            sync_type=Phase.INBOUND,
            window=DateRange(DAY, DAY),
            run_id="run-1",
            owner=1,
            now=NOW,
        )


def write_unlocked(
    connection: Connection, clinic: Clinic, audit: UUID, case_ids: Sequence[UUID]
) -> None:
    """Record a change of each case."""
    events = [
        CaseEvent(
            case_id=case_id,
            kind=EventKind.UPDATED,
            business_date=DAY,
            changes={"patient_name": ("Rex", "Max"), "client_phone": (None, "555-0100")},
            source_digest="d",
            occurred_at=NOW,
        )
        for case_id in case_ids
    ]
    record_events(connection, clinic, events, audit_id=audit, run_id="run-1")


def write(connection: Connection, clinic: Clinic, audit: UUID, case_ids: Sequence[UUID]) -> None:
    """The same as a sync does it."""
    lock_clinic(connection, clinic.id)
    write_unlocked(connection, clinic, audit, case_ids)


class Reader:
    """A client that always continues after the last change that it has read."""

    def __init__(self, engine: Engine, clinic: Clinic, limit: int = 100) -> None:
        self._engine = engine
        self._clinic = clinic
        self._limit = limit
        self.changes: list[Change] = []

    def read(self) -> None:
        """Read all that is there."""
        while True:
            after = self.changes[-1].seq if self.changes else 0
            with transaction(self._engine) as connection:
                found = changes_after(connection, self._clinic.id, after, limit=self._limit)
            if not found:
                return
            self.changes += found

    @property
    def case_ids(self) -> list[UUID]:
        return [each.case_id for each in self.changes]


def late_commit(engine: Engine, clinic: Clinic, write: Write) -> tuple[list[UUID], list[UUID]]:
    """Two writers, of which the first to write is the last that may commit.

    Returns:
        The cases changed, and what a reader got that read after each commit.
    """
    audit, early, late = audit_of(engine, clinic), uuid4(), uuid4()
    reader = Reader(engine, clinic)

    def second() -> None:
        with transaction(engine) as connection:
            write(connection, clinic, audit, [late])

    with ThreadPoolExecutor(1) as threads:
        with transaction(engine) as connection:
            write(connection, clinic, audit, [early])
            done = threads.submit(second)
            # It has committed, or it waits for this transaction.
            until(lambda: done.done() or waits_for_a_lock(connection))
            if done.done():
                threads.submit(reader.read).result(30)
        done.result(30)
    reader.read()
    return [early, late], reader.case_ids


def waits_for_a_lock(connection: Connection) -> bool:
    return bool(
        connection.scalar(
            text(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
            )
        )
    )


def until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    assert any(holds() or pause.wait(0.01) for _ in range(1500))


def test_a_change_that_is_committed_late_is_not_skipped(engine: Engine, clinic: Clinic) -> None:
    written, read = late_commit(engine, clinic, write)

    assert read == written


def test_without_the_clinic_s_lock_it_would_be_skipped(engine: Engine, clinic: Clinic) -> None:
    """What the lock is for: the same reader, and writers that do not follow each other."""
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE case_events DISABLE TRIGGER feed_order"))

    (_, late), read = late_commit(engine, clinic, write_unlocked)

    assert read == [late]


@pytest.mark.parametrize("locked", [None, "another"])
def test_the_database_refuses_changes_that_are_written_without_the_lock(
    engine: Engine, clinic: Clinic, locked: str | None
) -> None:
    audit = audit_of(engine, clinic)
    other = None if locked is None else another(engine, locked)

    def attempt() -> None:
        with transaction(engine) as connection:
            if other is not None:
                lock_clinic(connection, other.id)
            write_unlocked(connection, clinic, audit, [uuid4()])

    with pytest.raises(DBAPIError, match=r"call lock_clinic\(\) first"):
        attempt()


def another(engine: Engine, slug: str) -> Clinic:
    with transaction(engine) as connection:
        return add_clinic(
            connection,
            slug=slug,
            name=slug,
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )


class Writers:
    """Eight writers on two clinics; some are slow, some roll back."""

    def __init__(self, engine: Engine, clinics: Sequence[Clinic]) -> None:
        self._engine = engine
        self._clinics = clinics
        self._audits = {each.id: audit_of(engine, each) for each in clinics}
        self._lock = threading.Lock()
        self.committed: dict[UUID, set[UUID]] = {each.id: set() for each in clinics}

    def work(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - a test's own
        clinic = self._clinics[number % len(self._clinics)]
        for _ in range(ROUNDS):
            case_ids = self._transaction(chance, clinic)
            with self._lock:
                self.committed[clinic.id].update(case_ids)

    def _transaction(self, chance: random.Random, clinic: Clinic) -> list[UUID]:
        """Change cases, one statement each; return those whose change was committed."""
        case_ids = [uuid4() for _ in range(chance.randint(1, 20))]
        with transaction(self._engine) as connection:
            for case_id in case_ids:
                write(connection, clinic, self._audits[clinic.id], [case_id])
                if chance.random() < 0.2:
                    # Slow: other writers and readers go on.
                    changes_after(connection, clinic.id, 0, limit=50, values=True)
            if chance.random() < 0.2:
                connection.rollback()
                return []
        return case_ids


def test_eight_writers_and_slow_transactions_lose_nothing(engine: Engine, clinic: Clinic) -> None:
    clinics = (clinic, another(engine, "elsewhere"))
    writers, readers = Writers(engine, clinics), [Reader(engine, each, 7) for each in clinics]
    written = threading.Event()

    def follow(reader: Reader) -> None:
        while not written.is_set():
            reader.read()
        reader.read()

    with ThreadPoolExecutor(WRITERS + len(readers)) as threads:
        following = [threads.submit(follow, each) for each in readers]
        try:
            for work in [threads.submit(writers.work, number) for number in range(WRITERS)]:
                work.result(60)
        finally:
            written.set()
        for reading in following:
            reading.result(60)

    for reader, each in zip(readers, clinics, strict=True):
        numbers = [change.seq for change in reader.changes]
        assert numbers == sorted(set(numbers))
        assert len(reader.case_ids) == len(writers.committed[each.id])
        assert set(reader.case_ids) == writers.committed[each.id]


def test_an_idle_transaction_of_another_program_delays_nothing(
    engine: Engine, clinic: Clinic
) -> None:
    """It holds back the oldest transaction id of the server, on which some feeds depend."""
    audit, case_id = audit_of(engine, clinic), uuid4()
    reader = Reader(engine, clinic)
    with ThreadPoolExecutor(1) as threads, transaction(engine) as idle:
        idle.execute(text("SELECT pg_current_xact_id()"))

        def others() -> None:
            with transaction(engine) as connection:
                write(connection, clinic, audit, [case_id])
            reader.read()

        threads.submit(others).result(30)

    assert reader.case_ids == [case_id]


def test_values_are_read_only_if_they_are_asked_for(engine: Engine, clinic: Clinic) -> None:
    audit = audit_of(engine, clinic)
    with transaction(engine) as connection:
        write(connection, clinic, audit, [uuid4()])
        [bare] = changes_after(connection, clinic.id, 0, limit=9)
        [full] = changes_after(connection, clinic.id, 0, limit=9, values=True)

    assert (bare.values, set(bare.fields)) == (None, {"patient_name", "client_phone"})
    assert full.values == {"patient_name": ["Rex", "Max"], "client_phone": [None, "555-0100"]}
    assert (full.phase, full.audit_id, full.run_id) == (Phase.INBOUND, audit, "run-1")
    assert "Rex" not in repr(full)


def test_the_last_number_grows_with_every_clinic_s_changes(engine: Engine, clinic: Clinic) -> None:
    audit = audit_of(engine, clinic)
    with transaction(engine) as connection:
        assert last_change(connection) == 0
        write(connection, clinic, audit, [uuid4(), uuid4()])
        [_, second] = changes_after(connection, clinic.id, 0, limit=9)
        assert last_change(connection) == second.seq
