"""Requests for syncs and their idempotency keys; and syncs as clients see them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase, Scope
from pims_pipeline.domain.requests import RequestStatus
from pims_pipeline.store.api_keys import create_api_key
from pims_pipeline.store.audits import finish_audit, start_audit
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.queries.syncs import StoredSync, find_sync, list_syncs
from pims_pipeline.store.requests import (
    KEY_LASTS,
    IdempotencyKey,
    KeyReused,
    Recorded,
    SyncRequest,
    find_request,
    record_launch,
    record_request,
    remove_unlaunched,
)

NOW = datetime(2026, 3, 9, 14, tzinfo=UTC)
WINDOW = DateRange(date(2026, 3, 9), date(2026, 3, 16))
KEY = IdempotencyKey("morning", "a" * 64)

Ask = Callable[..., SyncRequest]


@pytest.fixture
def ask(engine: Engine, clinic: Clinic) -> Ask:
    """Makes a request that is not recorded yet."""
    with transaction(engine) as connection:
        key = create_api_key(connection, clinic, name="a test's")

    def ask(*, scope: Scope = "inbound", at: datetime = NOW) -> SyncRequest:
        return SyncRequest(
            id=uuid4(),
            clinic_id=clinic.id,
            api_key_id=key.id,
            scope=scope,
            window=WINDOW,
            options={"daysAhead": 7},
            created_at=at,
        )

    return ask


def record(engine: Engine, request: SyncRequest, key: IdempotencyKey | None = None) -> Recorded:
    with transaction(engine) as connection:
        return record_request(connection, request, key)


def launched(engine: Engine, request: SyncRequest, run_id: str) -> SyncRequest:
    record(engine, request)
    with transaction(engine) as connection:
        found = record_launch(connection, request.id, run_id, request.created_at)
    assert found is not None
    return found


def audit(
    engine: Engine,
    clinic: Clinic,
    run_id: str,
    *,
    phase: Phase = Phase.INBOUND,
    at: datetime = NOW,
    wanted_id: UUID | None = None,
) -> UUID:
    with transaction(engine) as connection:
        return start_audit(
            connection,
            clinic=clinic,
            sync_type=phase,
            window=WINDOW,
            run_id=run_id,
            owner=7,
            now=at,
            wanted_id=wanted_id,
        )


def newest(engine: Engine, clinic: Clinic, limit: int = 100) -> list[StoredSync]:
    with transaction(engine) as connection:
        return list_syncs(connection, clinic.id, limit=limit)


def found(engine: Engine, clinic: Clinic, sync_id: UUID) -> StoredSync | None:
    with transaction(engine) as connection:
        return find_sync(connection, clinic.id, sync_id)


def test_a_request_is_given_back_as_it_was_recorded(engine: Engine, ask: Ask) -> None:
    request = ask()

    assert record(engine, request) == Recorded(request, is_new=True)
    with transaction(engine) as connection:
        assert find_request(connection, request.id) == request


def test_the_first_run_that_is_recorded_stays(engine: Engine, ask: Ask) -> None:
    request = ask()
    first = launched(engine, request, "run-1")

    assert first == replace(request, status=RequestStatus.LAUNCHED, run_id="run-1", launched_at=NOW)
    with transaction(engine) as connection:
        again = record_launch(connection, request.id, "run-2", NOW + timedelta(seconds=1))
    assert again == first


def test_a_removed_request_frees_its_key(engine: Engine, ask: Ask) -> None:
    first, second = ask(), ask()
    record(engine, first, KEY)
    with transaction(engine) as connection:
        assert remove_unlaunched(connection, first.id)
        assert record_launch(connection, first.id, "run-1", NOW) is None

    assert record(engine, second, KEY) == Recorded(second, is_new=True)


def test_a_launched_request_cannot_be_removed(engine: Engine, ask: Ask) -> None:
    request = launched(engine, ask(), "run-1")

    with transaction(engine) as connection:
        assert not remove_unlaunched(connection, request.id)
        assert find_request(connection, request.id) == request


def test_the_same_key_returns_the_first_request(engine: Engine, ask: Ask) -> None:
    first, second = ask(), ask()
    record(engine, first, KEY)

    assert record(engine, second, KEY) == Recorded(first, is_new=False)
    with transaction(engine) as connection:
        assert find_request(connection, second.id) is None


def test_a_key_is_not_for_two_different_requests(engine: Engine, ask: Ask) -> None:
    record(engine, ask(), KEY)

    with pytest.raises(KeyReused):
        record(engine, ask(), IdempotencyKey(KEY.key, "b" * 64))


def test_keys_of_other_clinics_are_other_keys(engine: Engine, ask: Ask) -> None:
    with transaction(engine) as connection:
        other = add_clinic(
            connection,
            slug="elsewhere",
            name="Elsewhere",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
        key = create_api_key(connection, other, name="another")
    record(engine, ask(), KEY)
    request = replace(ask(), clinic_id=other.id, api_key_id=key.id)

    assert record(engine, request, KEY).is_new


def test_a_key_is_forgotten_after_a_day(engine: Engine, ask: Ask) -> None:
    other_body = IdempotencyKey(KEY.key, "b" * 64)
    record(engine, ask(), KEY)
    just_before, just_after = (
        ask(at=NOW + KEY_LASTS - timedelta.resolution),
        ask(at=NOW + KEY_LASTS),
    )

    assert not record(engine, just_before, KEY).is_new
    assert record(engine, just_after, other_body) == Recorded(just_after, is_new=True)
    assert record(engine, ask(at=just_after.created_at), other_body).request == just_after


@pytest.mark.parametrize("is_expired", [False, True])
def test_of_many_at_the_same_instant_one_is_recorded(
    engine: Engine, ask: Ask, *, is_expired: bool
) -> None:
    if is_expired:
        record(engine, ask(at=NOW - KEY_LASTS), KEY)
    start = Barrier(8)

    def race(request: SyncRequest) -> Recorded:
        start.wait(30)
        return record(engine, request, KEY)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(race, [ask() for _ in range(8)]))

    [winner] = {outcome.request.id for outcome in outcomes}
    assert [outcome.is_new for outcome in outcomes].count(True) == 1
    with transaction(engine) as connection:
        recorded = connection.scalars(
            text("SELECT id FROM sync_requests WHERE created_at = :now"), {"now": NOW}
        ).all()
    assert list(recorded) == [winner]


def test_a_request_shows_what_its_run_did_for_the_clinic(
    engine: Engine, clinic: Clinic, ask: Ask
) -> None:
    request = launched(engine, ask(scope="full"), "run-1")
    second = audit(engine, clinic, "run-1", phase=Phase.CASES, at=NOW + timedelta(seconds=2))
    first = audit(engine, clinic, "run-1", wanted_id=request.id)
    audit(engine, clinic, "run-2")

    sync = found(engine, clinic, request.id)

    assert sync is not None
    assert [each.id for each in sync.audits] == [first, second]
    assert (sync.id, sync.scope, sync.window) == (request.id, "full", WINDOW)
    assert (sync.is_request, sync.run_id) == (True, "run-1")
    assert sync.place == (request.created_at, request.id)


def test_an_audit_that_no_client_requested_is_a_sync_by_itself(
    engine: Engine, clinic: Clinic
) -> None:
    audit_id = audit(engine, clinic, "run-1", phase=Phase.RECONCILIATION)

    sync = found(engine, clinic, audit_id)

    assert sync is not None
    assert (sync.id, sync.scope, sync.is_request) == (audit_id, "reconcile", False)
    assert [each.id for each in sync.audits] == [audit_id]


def test_deleted_cases_are_listed_in_the_order_of_their_deletion(
    engine: Engine, clinic: Clinic
) -> None:
    audit_id = audit(engine, clinic, "run-1", phase=Phase.RECONCILIATION)
    gone = [uuid4() for _ in range(3)]
    with transaction(engine) as connection:
        lock_clinic(connection, clinic.id)
        for case_id in gone:
            connection.execute(
                text(
                    "INSERT INTO case_events (clinic_id, case_id, audit_id, run_id, "
                    "partition_key, kind, changes, occurred_at) VALUES (:clinic, :case, :audit, "
                    "'run-1', 'maple-street|2026-03-09', 'soft_deleted', '{}', now())"
                ),
                {"clinic": clinic.id, "case": case_id, "audit": audit_id},
            )
        finish_audit(
            connection,
            audit_id,
            status=AuditStatus.COMPLETED,
            counts=Counts(found=9, unchanged=6, deleted=3),
            fetched_at=None,
            now=NOW,
        )

    sync = found(engine, clinic, audit_id)

    assert sync is not None
    assert list(sync.deleted_cases) == gone


def test_nothing_is_found_under_an_unknown_id_or_for_another_clinic(
    engine: Engine, clinic: Clinic, ask: Ask
) -> None:
    request = launched(engine, ask(), "run-1")
    audit_id = audit(engine, clinic, "run-2")
    elsewhere = replace(clinic, id=uuid4())

    assert found(engine, clinic, uuid4()) is None
    assert found(engine, elsewhere, request.id) is None
    assert found(engine, elsewhere, audit_id) is None
    assert newest(engine, elsewhere) == []


def test_the_list_holds_requests_and_what_ran_without_one(
    engine: Engine, clinic: Clinic, ask: Ask
) -> None:
    def at(minutes: int) -> datetime:
        return NOW + timedelta(minutes=minutes)

    oldest = audit(engine, clinic, "scheduled", at=at(0))
    asked = launched(engine, ask(scope="full", at=at(1)), "asked")
    ours = audit(engine, clinic, "asked", at=at(2), wanted_id=asked.id)
    audit(engine, clinic, "asked", phase=Phase.CASES, at=at(3))
    scheduled = audit(engine, clinic, "wide", phase=Phase.CASES, at=at(4))
    waiting = record(engine, ask(at=at(5)))
    # Its run has begun, but its launcher could not record that.
    lost = record(engine, ask(at=at(6)))
    audit(engine, clinic, "lost", at=at(7), wanted_id=lost.request.id)

    syncs = newest(engine, clinic)

    wanted = [lost.request.id, waiting.request.id, scheduled, asked.id, oldest]
    assert [sync.id for sync in syncs] == wanted
    assert [sync.id for sync in newest(engine, clinic, limit=3)] == wanted[:3]
    [found] = [sync for sync in syncs if sync.id == asked.id]
    assert [each.sync_type for each in found.audits] == [Phase.INBOUND, Phase.CASES]
    assert found.audits[0].id == ours


def test_pages_neither_repeat_nor_miss_when_new_syncs_arrive(
    engine: Engine, clinic: Clinic, ask: Ask
) -> None:
    # All at the same time: only their ids differ.
    wanted = {audit(engine, clinic, f"run-{n}", phase=phase) for n, phase in enumerate(Phase)}
    wanted |= {record(engine, ask()).request.id for _ in range(4)}
    seen: list[UUID] = []
    place = None
    while True:
        with transaction(engine) as connection:
            page = list_syncs(connection, clinic.id, limit=2, after=place)
        if not page:
            break
        seen += [sync.id for sync in page]
        place = page[-1].place
        record(engine, ask(at=NOW + timedelta(seconds=len(seen))))

    assert len(seen) == len(wanted)
    assert set(seen) == wanted
