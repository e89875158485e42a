"""What may not answer is asked once at a time, and waited for briefly."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pims_pipeline.api.monitoring.probes import Probe


class Clock:
    """Moves when told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Question:
    """Counts how often it is asked; answers with that number once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self) -> int:
        self.asked += 1
        number = self.asked
        self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return number


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def question() -> Iterator[Question]:
    question = Question()
    yield question
    question.may_answer.set()


def test_an_answer_counts_for_a_second(clock: Clock, question: Question) -> None:
    probe = Probe("a question", question, clock=clock)
    assert [asyncio.run(probe.result()) for _ in range(3)] == [1, 1, 1]
    clock.seconds = 0.99
    assert asyncio.run(probe.result()) == 1
    clock.seconds = 1
    assert asyncio.run(probe.result()) == 2


def test_those_who_ask_at_once_share_one_question(clock: Clock, question: Question) -> None:
    probe = Probe("a question", question, clock=clock)

    async def all_at_once() -> list[int]:
        question.may_answer.clear()
        asked = [asyncio.create_task(probe.result()) for _ in range(50)]
        await asyncio.sleep(0)
        question.may_answer.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(all_at_once()) == [1] * 50


def test_a_question_that_hangs_is_not_waited_for_and_not_asked_again(
    clock: Clock, question: Question
) -> None:
    probe = Probe("a question", question, seconds=0.01, clock=clock)
    question.may_answer.clear()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            asyncio.run(probe.result())
        clock.seconds += 60
    assert question.asked == 1


def test_an_answer_that_comes_late_is_given_to_the_next(clock: Clock, question: Question) -> None:
    probe = Probe("a question", question, seconds=0.3, clock=clock)
    question.may_answer.clear()
    with pytest.raises(TimeoutError):
        asyncio.run(probe.result())
    late = probe._future()
    question.may_answer.set()
    assert late.result(30) == 1
    assert asyncio.run(probe.result()) == 1


def test_an_error_counts_as_long_as_an_answer(clock: Clock, question: Question) -> None:
    probe = Probe("a question", question, clock=clock)
    question.error = ValueError("no")
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            asyncio.run(probe.result())
    question.error = None
    clock.seconds = 1
    assert asyncio.run(probe.result()) == 2


def test_a_failing_question_is_logged_when_it_starts_to_fail_and_when_it_ends(
    clock: Clock, question: Question, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    probe = Probe("a question", question, clock=clock)
    question.error = ValueError("at database.internal")
    for seconds in (0, 1, 2, 3):
        clock.seconds = seconds
        if seconds == 2:
            question.error = None
        with suppress(ValueError):
            asyncio.run(probe.result())
    told = [line for line in caplog.messages if "probe" in line]
    assert ["probe_failed" in line for line in told] == [True, False]
    assert "probe_answered_again" in told[1]
    assert "database.internal" not in caplog.text
