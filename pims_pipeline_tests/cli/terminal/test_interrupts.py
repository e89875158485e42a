"""Ctrl-C and SIGTERM: handled at once, after a block, or ignored."""

import signal
from collections.abc import Iterator

import pytest

from pims_pipeline.cli.terminal.interrupts import interruptible, undisturbed_end, uninterrupted

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers_stay() -> Iterator[None]:
    """Every test restores the handlers."""
    before = [signal.getsignal(number) for number in NUMBERS]
    with interruptible():
        yield
    assert [signal.getsignal(number) for number in NUMBERS] == before


@pytest.mark.parametrize("number", NUMBERS)
def test_both_signals_interrupt_at_once(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_interrupt_waits_for_the_end_of_the_block(number: signal.Signals) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        start_both_halves(number, done)

    assert done == ["one half", "the other half"]


@uninterrupted()
def start_both_halves(number: signal.Signals, done: list[str]) -> None:
    done.append("one half")
    signal.raise_signal(number)
    done.append("the other half")


def test_an_interrupt_replaces_an_error_of_the_block() -> None:
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
def test_a_second_interrupt_does_not_disturb_the_cleanup(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), undisturbed_end():
        signal.raise_signal(number)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
