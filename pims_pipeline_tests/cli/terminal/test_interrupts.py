"""Ctrl-C and SIGTERM: when they are taken at once, later, or no more."""

import signal
from collections.abc import Iterator

import pytest

from pims_pipeline.cli.terminal.interrupts import interruptible, undisturbed_end, uninterrupted

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers_stay() -> Iterator[None]:
    """Whatever a test does, the handlers are afterwards what they were before."""
    before = [signal.getsignal(number) for number in NUMBERS]
    with interruptible():
        yield
    assert [signal.getsignal(number) for number in NUMBERS] == before


@pytest.mark.parametrize("number", NUMBERS)
def test_both_signals_interrupt_at_once(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_interrupt_waits_for_what_must_not_be_left_half_started(number: signal.Signals) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        start_both_halves(number, done)

    assert done == ["one half", "the other half"]


@uninterrupted()
def start_both_halves(number: signal.Signals, done: list[str]) -> None:
    done.append("one half")
    signal.raise_signal(number)
    done.append("the other half")


def test_an_interrupt_outweighs_what_went_wrong_meanwhile() -> None:
    with pytest.raises(KeyboardInterrupt):
        start_what_is_interrupted_too()


@uninterrupted()
def start_what_is_interrupted_too() -> None:
    signal.raise_signal(signal.SIGINT)
    raise ValueError("the child was interrupted too")


def test_without_an_interrupt_nothing_is_added() -> None:
    with uninterrupted():
        pass

    with pytest.raises(ValueError, match="its own"), uninterrupted():
        raise ValueError("its own")


@pytest.mark.parametrize("number", NUMBERS)
def test_an_impatient_second_interrupt_does_not_disturb_the_end(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), undisturbed_end():
        signal.raise_signal(number)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
