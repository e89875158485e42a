"""Dead letters open, gather attempts, and close."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, insert, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import (
    ClinicFailure,
    Failure,
    FailureInput,
    FailureResolved,
    UnknownFailure,
    failure_by_id,
    list_failures,
    make_due,
    open_failures,
    record_failures,
    resolve_failures,
    resolve_unseen,
)
from pims_pipeline.store.tables.cases import cases

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=15)
WEEK = DateRange(date(2026, 3, 1), date(2026, 3, 7))


def _failed(key: str, *, day: date | None = None, window: DateRange | None = WEEK) -> FailureInput:
    return FailureInput(
        record_key=key,
        error_class="ValueError",
        error_message="the start is not a time",
        business_date=day,
        window=window,
    )


def _record(
    engine: Engine,
    clinic: Clinic,
    *failures: FailureInput,
    phase: Phase = Phase.INBOUND,
    now: datetime = NOW,
) -> None:
    with transaction(engine) as connection:
        record_failures(connection, clinic, phase, failures, now)


def _open(engine: Engine, clinic: Clinic, phase: Phase = Phase.INBOUND) -> list[Failure]:
    with transaction(engine) as connection:
        return open_failures(connection, clinic, phase)


def _keys(engine: Engine, clinic: Clinic, phase: Phase = Phase.INBOUND) -> set[str]:
    return {failure.record_key for failure in _open(engine, clinic, phase)}


def test_a_failure_is_read_back_as_it_was_recorded(engine: Engine, clinic: Clinic) -> None:
    retry_at = NOW + timedelta(minutes=5)
    _record(
        engine,
        clinic,
        FailureInput(
            record_key="A-1",
            error_class="TransientError",
            error_message="the vendor answered 503",
            pims_id="A-1",
            business_date=date(2026, 3, 2),
            window=WEEK,
            next_retry_at=retry_at,
        ),
        phase=Phase.CASES,
    )
    [failure] = _open(engine, clinic, Phase.CASES)
    assert failure == Failure(
        id=failure.id,
        phase=Phase.CASES,
        record_key="A-1",
        pims_id="A-1",
        business_date=date(2026, 3, 2),
        window=WEEK,
        attempts=1,
        error_class="TransientError",
        error_message="the vendor answered 503",
        first_failed_at=NOW,
        last_failed_at=NOW,
        next_retry_at=retry_at,
    )
    assert _open(engine, clinic, Phase.INBOUND) == []


def test_failing_again_adds_an_attempt_to_the_open_failure(engine: Engine, clinic: Clinic) -> None:
    _record(engine, clinic, _failed("A-1"))
    [first] = _open(engine, clinic)
    again = FailureInput(
        record_key="A-1",
        error_class="KeyError",
        error_message="no patient",
        next_retry_at=LATER + timedelta(hours=1),
    )
    _record(engine, clinic, again, now=LATER)
    [failure] = _open(engine, clinic)
    assert failure.id == first.id
    assert failure.attempts == 2
    assert (failure.error_class, failure.error_message) == ("KeyError", "no patient")
    assert (failure.first_failed_at, failure.last_failed_at) == (NOW, LATER)
    assert failure.next_retry_at == LATER + timedelta(hours=1)


def test_a_record_that_one_listing_holds_twice_failed_once(engine: Engine, clinic: Clinic) -> None:
    _record(engine, clinic, _failed("A-1"), _failed("A-1"))
    assert [(each.record_key, each.attempts) for each in _open(engine, clinic)] == [("A-1", 1)]


def test_recording_nothing_does_nothing(engine: Engine, clinic: Clinic) -> None:
    _record(engine, clinic)
    assert _open(engine, clinic) == []


def test_a_failure_after_a_success_is_a_new_one(engine: Engine, clinic: Clinic) -> None:
    _record(engine, clinic, _failed("A-1"), _failed("A-2"))
    first = {each.record_key: each.id for each in _open(engine, clinic)}
    with transaction(engine) as connection:
        resolve_failures(connection, clinic, Phase.INBOUND, ["A-1"], LATER)
    assert _keys(engine, clinic) == {"A-2"}
    _record(engine, clinic, _failed("A-1"), now=LATER)
    second = {each.record_key: each for each in _open(engine, clinic)}
    assert second["A-1"].id != first["A-1"]
    assert second["A-1"].attempts == 1
    with transaction(engine) as connection:
        closed = connection.execute(
            text("SELECT id, resolved_at FROM sync_failures WHERE resolved_at IS NOT NULL")
        ).all()
    assert [tuple(row) for row in closed] == [(first["A-1"], LATER)]


@pytest.mark.parametrize("keys", [[], ["unknown"]])
def test_resolving_what_did_not_fail_does_nothing(
    engine: Engine, clinic: Clinic, keys: list[str]
) -> None:
    _record(engine, clinic, _failed("A-1"))
    with transaction(engine) as connection:
        resolve_failures(connection, clinic, Phase.INBOUND, keys, LATER)
    assert _keys(engine, clinic) == {"A-1"}


def test_a_windows_failures_that_did_not_happen_again_are_closed(
    engine: Engine, clinic: Clinic
) -> None:
    wider = DateRange(WEEK.start, date(2026, 3, 8))
    _record(
        engine,
        clinic,
        _failed("gone"),
        _failed("still"),
        _failed("of a wider window", window=wider),
        _failed("of a wider window, on a day of this one", day=WEEK.end, window=wider),
        _failed("of a day outside", day=wider.end, window=wider),
        _failed("of nowhere", window=None),
    )
    _record(engine, clinic, _failed("gone"), phase=Phase.CASES)
    with transaction(engine) as connection:
        resolve_unseen(connection, clinic, Phase.INBOUND, WEEK, {"still"}, LATER)
    assert _keys(engine, clinic) == {
        "still",
        "of a wider window",
        "of a day outside",
        "of nowhere",
    }
    assert _keys(engine, clinic, Phase.CASES) == {"gone"}


def test_a_clinics_failures_are_its_own(engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        oak = add_clinic(
            connection,
            slug="oak",
            name="Oak",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
    _record(engine, clinic, _failed("A-1"))
    _record(engine, oak, _failed("A-1"))
    with transaction(engine) as connection:
        resolve_unseen(connection, clinic, Phase.INBOUND, WEEK, (), LATER)
    assert _keys(engine, clinic) == set()
    assert _keys(engine, oak) == {"A-1"}


def _listed(engine: Engine, *, open_only: bool = True) -> list[ClinicFailure]:
    with transaction(engine) as connection:
        return list_failures(connection, open_only=open_only)


def test_failures_of_all_clinics_are_listed_the_latest_first(
    engine: Engine, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        oak = add_clinic(
            connection,
            slug="oak",
            name="Oak",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
    _record(engine, clinic, _failed("A-1"), _failed("gone"))
    _record(engine, oak, _failed("B-1"), now=LATER)
    with transaction(engine) as connection:
        resolve_failures(connection, clinic, Phase.INBOUND, ["gone"], LATER)
        of_oak = list_failures(connection, clinic=oak)
    assert [(each.clinic_slug, each.failure.record_key) for each in _listed(engine)] == [
        ("oak", "B-1"),
        (clinic.slug, "A-1"),
    ]
    assert [each.failure.record_key for each in of_oak] == ["B-1"]
    every = {each.failure.record_key: each for each in _listed(engine, open_only=False)}
    assert {key: each.failure.resolved_at for key, each in every.items()} == {
        "A-1": None,
        "B-1": None,
        "gone": LATER,
    }


def test_a_failure_is_listed_with_its_present_case(engine: Engine, clinic: Clinic) -> None:
    moved_to = date(2026, 3, 20)
    case_id = uuid4()
    with transaction(engine) as connection:
        connection.execute(
            insert(cases).values(
                id=case_id,
                clinic_id=clinic.id,
                provider_type=clinic.provider_type,
                pims_id="A-1",
                patient_name="Rex",
                client_name="Ann",
                scheduled_date=moved_to,
                scheduled_start=NOW,
                scheduled_end=NOW,
            )
        )
    failed = replace(_failed("A-1", day=WEEK.start), pims_id="A-1")
    _record(engine, clinic, failed, phase=Phase.CASES)
    [known] = _listed(engine)
    assert (known.case_id, known.case_date) == (case_id, moved_to)
    # Its consultation is requested for the present date of the case.
    assert known.dates == DateRange(moved_to, moved_to)
    with transaction(engine) as connection:
        assert failure_by_id(connection, known.failure.id) == known


@pytest.mark.parametrize(
    ("day", "window", "dates"),
    [
        (WEEK.end, WEEK, DateRange(WEEK.end, WEEK.end)),
        (None, WEEK, WEEK),
        (date(2126, 3, 2), WEEK, WEEK),
        (WEEK.end, None, DateRange(WEEK.end, WEEK.end)),
        (None, None, None),
    ],
    ids=["dated", "undated", "misdated", "without a window", "nowhere"],
)
def test_an_unreadable_record_is_looked_for_where_it_was_found(
    engine: Engine,
    clinic: Clinic,
    day: date | None,
    window: DateRange | None,
    dates: DateRange | None,
) -> None:
    _record(engine, clinic, _failed("A-1", day=day, window=window))
    [known] = _listed(engine)
    assert known.dates == dates


def test_a_dead_failure_is_made_due(engine: Engine, clinic: Clinic) -> None:
    _record(engine, clinic, _failed("A-1"), _failed("A-2"), phase=Phase.CASES)
    first = next(each for each in _listed(engine) if each.failure.record_key == "A-1")
    assert first.failure.next_retry_at is None
    with transaction(engine) as connection:
        assert make_due(connection, first.failure.id, LATER) == first
    assert {each.failure.record_key: each.failure.next_retry_at for each in _listed(engine)} == {
        "A-1": LATER,
        "A-2": None,
    }


def test_a_resolved_failure_is_not_made_due(engine: Engine, clinic: Clinic) -> None:
    _record(engine, clinic, _failed("A-1"))
    with transaction(engine) as connection:
        resolve_failures(connection, clinic, Phase.INBOUND, ["A-1"], LATER)
    [known] = _listed(engine, open_only=False)
    with (
        pytest.raises(FailureResolved, match="resolved on 2026-03-02 09:45 UTC"),
        transaction(engine) as connection,
    ):
        make_due(connection, known.failure.id, LATER)
    assert _listed(engine, open_only=False) == [known]


def test_an_unknown_failure_names_the_command_that_lists_failures(engine: Engine) -> None:
    for ask in (failure_by_id, lambda connection, each: make_due(connection, each, NOW)):
        with (
            pytest.raises(UnknownFailure, match="pims failures list"),
            transaction(engine) as connection,
        ):
            ask(connection, uuid4())
