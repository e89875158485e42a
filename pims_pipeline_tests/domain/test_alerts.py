"""When an alert starts, and that it is one alert until it ends."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.alerts import (
    FAILING_AFTER,
    OVERDUE_GRACE,
    AlertKey,
    AlertKind,
    ClinicFacts,
    Condition,
    DeadLetter,
    PhaseFacts,
    RunEnd,
    ScheduleState,
    WaitingHold,
    conditions_of,
    is_failing,
    plan_alerts,
)
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Phase

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CLINIC = UUID("5f7d6c5e-3d2b-4a19-8f0e-7d6c5b4a3928")
ONE = UUID("0b9d9c1e-4a84-4d4a-8a7c-1c9a6f9f2f11")
FAILED = RunEnd(run_id="run-3", succeeded=False, error_class="TransientError")
SUCCEEDED = RunEnd(run_id="run-4", succeeded=True)

keys = st.builds(
    AlertKey,
    st.sampled_from([uuid5(CLINIC, str(n)) for n in range(3)]),
    st.sampled_from(AlertKind),
    st.sampled_from(["", "inbound", "cases"]),
)


def found(phase: PhaseFacts | None = None, now: datetime = NOW, **facts: object) -> list[Condition]:
    phases = {Phase.INBOUND: phase} if phase else {}
    clinic = ClinicFacts(clinic_id=CLINIC, phases=phases, **facts)  # type: ignore[arg-type]  # a test's few keywords
    return list(conditions_of(clinic, now))


def running(schedule: ScheduleState = ScheduleState.ON, **facts: object) -> PhaseFacts:
    return PhaseFacts(schedule=schedule, **facts)  # type: ignore[arg-type]  # as above


@given(st.lists(keys), st.sets(keys))
def test_planning_again_over_the_result_plans_nothing(
    holding: list[AlertKey], opened: set[AlertKey]
) -> None:
    conditions = [Condition(key) for key in holding]

    plan = plan_alerts(conditions, opened)
    after = (opened - set(plan.to_end)) | {each.key for each in plan.to_open}

    assert after == set(holding)
    assert plan_alerts(conditions, after).is_empty
    assert len(plan.to_open) == len({each.key for each in plan.to_open})


@given(st.lists(st.sets(keys)))
def test_whatever_happens_each_spell_of_a_condition_is_one_alert(
    looks: list[set[AlertKey]],
) -> None:
    opened: set[AlertKey] = set()
    started: list[AlertKey] = []
    ended: list[AlertKey] = []
    for holding in looks:
        plan = plan_alerts(map(Condition, holding), opened)
        started += [each.key for each in plan.to_open]
        ended += plan.to_end
        opened = (opened - set(plan.to_end)) | {each.key for each in plan.to_open}

    for key in set().union(*looks):
        spells = [held for held, _ in groupby(key in look for look in looks)]
        assert started.count(key) == spells.count(True)
        assert ended.count(key) == spells[spells.index(True) :].count(False)


def test_a_deactivated_clinic_ends_its_alerts() -> None:
    opened = [AlertKey(CLINIC, AlertKind.OVERDUE, "inbound")]

    assert plan_alerts([], opened).to_end == tuple(opened)


@pytest.mark.parametrize(
    ("newest_first", "failing"),
    [
        ([], False),
        ([FAILED] * (FAILING_AFTER - 1), False),
        ([FAILED] * FAILING_AFTER, True),
        ([FAILED] * (FAILING_AFTER + 1), True),
        ([SUCCEEDED, *[FAILED] * FAILING_AFTER], False),
        ([FAILED, FAILED, SUCCEEDED, FAILED], False),
        ([*[FAILED] * FAILING_AFTER, SUCCEEDED], True),
    ],
)
def test_a_phase_is_failing_when_its_three_newest_runs_failed(
    newest_first: Sequence[RunEnd], *, failing: bool
) -> None:
    assert is_failing(newest_first) is failing


def test_a_failing_phase_is_reported_with_its_newest_run_and_error() -> None:
    [condition] = found(running(ends=[FAILED] * 3))

    assert condition.key == AlertKey(CLINIC, AlertKind.FAILING, "inbound")
    assert condition.details == {
        "phase": "inbound",
        "run_id": "run-3",
        "error_class": "TransientError",
    }


@pytest.mark.parametrize(
    ("late_by", "overdue"),
    [(-timedelta(days=1), False), (-timedelta(seconds=1), False), (timedelta(), True)],
)
def test_a_phase_is_overdue_once_its_second_tick_and_the_grace_have_passed(
    late_by: timedelta, *, overdue: bool
) -> None:
    due_by = NOW - OVERDUE_GRACE - late_by

    kinds = [each.key.kind for each in found(running(due_by=due_by))]

    assert kinds == ([AlertKind.OVERDUE] if overdue else [])


def test_a_phase_without_ticks_to_come_is_never_overdue() -> None:
    assert found(running(due_by=None)) == []


def test_a_phase_that_is_off_has_no_condition() -> None:
    due_by = NOW - timedelta(days=30)

    assert found(running(ScheduleState.OFF, due_by=due_by, ends=[FAILED] * 3)) == []


def test_a_malformed_schedule_is_reported_and_so_are_earlier_failures() -> None:
    due_by = NOW - timedelta(days=30)

    conditions = found(running(ScheduleState.MALFORMED, due_by=due_by, ends=[FAILED] * 3))

    assert [each.key.kind for each in conditions] == [AlertKind.BAD_SCHEDULE, AlertKind.FAILING]


@pytest.mark.parametrize(
    ("fact", "kind"),
    [
        ("credentials_rejected", AlertKind.CREDENTIALS_REJECTED),
        ("human_needed", AlertKind.HUMAN_NEEDED),
    ],
)
def test_a_login_that_cannot_go_on_is_one_alert_for_the_clinic(fact: str, kind: AlertKind) -> None:
    facts: dict[str, object] = {fact: True}
    assert [each.key for each in found(None, NOW, **facts)] == [AlertKey(CLINIC, kind)]


def test_each_hold_and_each_dead_letter_is_an_alert_of_its_own() -> None:
    window = DateRange(date(2026, 3, 1), date(2026, 3, 7))
    hold = WaitingHold(id=ONE, window=window, cases_active=30, cases_orphaned=12)
    letters = [
        DeadLetter(id=uuid5(ONE, str(n)), phase=Phase.CASES, attempts=8, error_class="E")
        for n in range(2)
    ]

    conditions = found(holds=[hold], dead_letters=letters)

    assert [each.key for each in conditions] == [
        AlertKey(CLINIC, AlertKind.HOLD, str(ONE)),
        *(AlertKey(CLINIC, AlertKind.DEAD_LETTER, str(letter.id)) for letter in letters),
    ]
    assert conditions[0].details == {
        "window": str(window),
        "cases_active": 30,
        "cases_orphaned": 12,
    }
    assert conditions[1].details == {"phase": "cases", "attempts": 8, "error_class": "E"}


LATE = NOW - timedelta(days=30)
REFUSED = RunEnd(run_id="run-5", succeeded=False, error_class="AuthenticationRejected")


def opened(**facts: object) -> list[AlertKey]:
    """The alerts that open, from none."""
    return [each.key for each in plan_alerts(found(**facts), []).to_open]  # type: ignore[arg-type]  # a test's few keywords


@pytest.mark.parametrize("ends", [[FAILED] * 3, [REFUSED] * 3, []])
@pytest.mark.parametrize(
    ("fact", "kind"),
    [
        ("credentials_rejected", AlertKind.CREDENTIALS_REJECTED),
        ("human_needed", AlertKind.HUMAN_NEEDED),
    ],
)
def test_a_login_that_cannot_go_on_is_one_alert_whatever_follows_from_it(
    fact: str, kind: AlertKind, ends: Sequence[RunEnd]
) -> None:
    phase = running(ends=ends, due_by=LATE)
    assert opened(phase=phase, **{fact: True}) == [AlertKey(CLINIC, kind)]


def test_a_replaced_login_whose_failures_are_still_the_newest_is_no_failing_phase() -> None:
    assert opened(phase=running(ends=[REFUSED] * 3)) == []


def test_a_failing_phase_that_is_overdue_as_well_is_one_alert() -> None:
    assert opened(phase=running(ends=[FAILED] * 3, due_by=LATE)) == [
        AlertKey(CLINIC, AlertKind.FAILING, "inbound")
    ]


@pytest.mark.parametrize(
    ("error", "alerts"), [("TransientError", ["inbound"]), ("Other", ["inbound", "cases"])]
)
def test_the_same_error_in_several_phases_is_one_alert(error: str, alerts: list[str]) -> None:
    other = RunEnd(run_id="run-6", succeeded=False, error_class=error)
    phases = {
        Phase.INBOUND: running(ends=[FAILED] * 3),
        Phase.CASES: running(ends=[other] * 3),
    }
    facts = ClinicFacts(clinic_id=CLINIC, phases=phases)
    plan = plan_alerts(conditions_of(facts, NOW), [])
    assert [each.key for each in plan.to_open] == [
        AlertKey(CLINIC, AlertKind.FAILING, phase) for phase in alerts
    ]


def test_an_alert_that_is_open_does_not_end_because_its_cause_is_found() -> None:
    overdue = AlertKey(CLINIC, AlertKind.OVERDUE, "inbound")
    phase = running(ends=[FAILED] * 3, due_by=LATE)
    plan = plan_alerts(found(phase), [overdue])
    assert plan.to_end == ()
    assert [each.key.kind for each in plan.to_open] == [AlertKind.FAILING]
