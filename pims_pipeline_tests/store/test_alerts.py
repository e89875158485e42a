"""Alerts start, end, and wait for delivery."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import Engine, text

from pims_pipeline.domain.alerts import AlertKey, AlertKind, Condition
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.alerts import (
    Alert,
    begin_alerts,
    claim_alerts,
    end_alerts,
    mark_delivered,
    open_alerts,
    release_alerts,
    undelivered_alerts,
)
from pims_pipeline.store.database.engine import transaction

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def overdue(clinic: Clinic, phase: str = "inbound") -> Condition:
    return Condition(AlertKey(clinic.id, AlertKind.OVERDUE, phase), {"phase": phase})


def begin(engine: Engine, *conditions: Condition, now: datetime = NOW) -> None:
    with transaction(engine) as connection:
        begin_alerts(connection, conditions, now)


def end(engine: Engine, *conditions: Condition, now: datetime = NOW + MINUTE) -> None:
    with transaction(engine) as connection:
        end_alerts(connection, [each.key for each in conditions], now)


def undelivered(engine: Engine) -> list[Alert]:
    with transaction(engine) as connection:
        return undelivered_alerts(connection, 100)


def deliver(engine: Engine, *delivered: Alert, now: datetime = NOW + 2 * MINUTE) -> None:
    with transaction(engine) as connection:
        mark_delivered(connection, delivered, now)


def test_an_open_alert_is_not_opened_again(engine: Engine, clinic: Clinic) -> None:
    begin(engine, overdue(clinic))
    begin(engine, overdue(clinic), now=NOW + MINUTE)

    [alert] = undelivered(engine)
    assert alert.opened_at == NOW
    assert alert.clinic_slug == clinic.slug
    assert alert.details == {"phase": "inbound"}


def test_what_ended_and_happens_again_is_another_alert(engine: Engine, clinic: Clinic) -> None:
    begin(engine, overdue(clinic))
    end(engine, overdue(clinic))
    begin(engine, overdue(clinic), now=NOW + 2 * MINUTE)

    first, second = undelivered(engine)
    assert (first.ended_at, second.ended_at) == (NOW + MINUTE, None)
    with transaction(engine) as connection:
        assert open_alerts(connection) == [overdue(clinic).key]


def test_only_what_was_named_ends(engine: Engine, clinic: Clinic, other: Clinic) -> None:
    both = overdue(clinic), overdue(other)
    begin(engine, *both)
    end(engine, overdue(clinic))

    with transaction(engine) as connection:
        assert open_alerts(connection) == [overdue(other).key]


def test_a_clock_that_was_put_back_ends_no_alert_before_it_began(
    engine: Engine, clinic: Clinic
) -> None:
    begin(engine, overdue(clinic))
    end(engine, overdue(clinic), now=NOW - MINUTE)

    assert [alert.ended_at for alert in undelivered(engine)] == [NOW]


def test_a_delivered_alert_waits_no_more_until_it_ends(engine: Engine, clinic: Clinic) -> None:
    begin(engine, overdue(clinic))
    deliver(engine, *undelivered(engine))
    assert undelivered(engine) == []

    end(engine, overdue(clinic), now=NOW + 3 * MINUTE)
    [alert] = undelivered(engine)
    assert (alert.opening_sent_at, alert.ending_sent_at) == (NOW + 2 * MINUTE, None)
    deliver(engine, alert)
    assert undelivered(engine) == []


def test_an_end_that_came_while_the_start_was_delivered_is_still_to_be_delivered(
    engine: Engine, clinic: Clinic
) -> None:
    begin(engine, overdue(clinic))
    started = undelivered(engine)
    end(engine, overdue(clinic))
    deliver(engine, *started)

    [alert] = undelivered(engine)
    assert alert.opening_sent_at is not None
    assert alert.ending_sent_at is None


def test_what_started_and_ended_before_delivery_is_delivered_once(
    engine: Engine, clinic: Clinic
) -> None:
    begin(engine, overdue(clinic))
    end(engine, overdue(clinic))
    deliver(engine, *undelivered(engine))

    assert undelivered(engine) == []


def test_the_longest_waiting_comes_first_and_an_end_waits_since_it_came(
    engine: Engine, clinic: Clinic, other: Clinic
) -> None:
    begin(engine, overdue(clinic))
    deliver(engine, *undelivered(engine))
    begin(engine, overdue(other), now=NOW + MINUTE)
    end(engine, overdue(clinic), now=NOW + 2 * MINUTE)
    begin(engine, overdue(other, "cases"), now=NOW + 3 * MINUTE)

    assert [(alert.clinic_slug, alert.key.subject) for alert in undelivered(engine)] == [
        ("oak-lane", "inbound"),
        ("maple-street", "inbound"),
        ("oak-lane", "cases"),
    ]


def test_what_began_at_one_moment_comes_by_kind_and_phase(
    engine: Engine, clinic: Clinic, other: Clinic
) -> None:
    rejected = Condition(AlertKey(other.id, AlertKind.CREDENTIALS_REJECTED))
    begin(
        engine,
        overdue(other, "inbound"),
        overdue(other, "cases"),
        rejected,
        overdue(clinic, "inbound"),
        overdue(clinic, "cases"),
    )

    assert [(a.key.kind.value, a.key.subject, a.clinic_slug) for a in undelivered(engine)] == [
        ("credentials_rejected", "", "oak-lane"),
        ("overdue", "cases", "maple-street"),
        ("overdue", "cases", "oak-lane"),
        ("overdue", "inbound", "maple-street"),
        ("overdue", "inbound", "oak-lane"),
    ]


def test_an_alert_is_claimed_by_one_process_until_it_is_delivered_released_or_too_late(
    engine: Engine, clinic: Clinic, other: Clinic
) -> None:
    begin(engine, overdue(clinic), overdue(other))
    both = undelivered(engine)

    def claim(*wanted: Alert) -> bool:
        with transaction(engine) as connection:
            return claim_alerts(connection, wanted)

    assert claim(both[0])
    assert not claim(*both)
    assert not claim(both[0])
    assert claim(both[1])
    with transaction(engine) as connection:
        release_alerts(connection, both)
    assert claim(*both)
    with transaction(engine) as connection:
        connection.execute(text("UPDATE alerts SET claimed_until = clock_timestamp()"))
    assert claim(*both)
    deliver(engine, *both)
    with transaction(engine) as connection:
        assert connection.scalar(text("SELECT count(claimed_until) FROM alerts")) == 0


def test_no_alert_is_ended_of_a_clinic_that_has_none(engine: Engine) -> None:
    with transaction(engine) as connection:
        end_alerts(connection, [AlertKey(uuid4(), AlertKind.HOLD)], NOW)
        end_alerts(connection, [], NOW)
        begin_alerts(connection, [], NOW)
        assert open_alerts(connection) == []
