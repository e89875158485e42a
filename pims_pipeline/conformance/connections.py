"""Providers for the suite: with short waits, watched, logged in if wanted, and closed."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

from pims_pipeline.conformance.vendor import NotApplicable, PlayedVendor
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import (
    DescribesClinic,
    FetchesConsultations,
    ListsChanges,
    ListsResources,
    LooksUpAppointments,
    LooksUpMany,
    PimsProvider,
    PortableSession,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal

DEADLINE_SECONDS = 30.0
"""For what must happen at once; reached only by a provider that does not end its waits."""
_LONG_SECONDS = 600.0
_Wanted = TypeVar("_Wanted")


class Connections:
    """Opens the vendor's providers and closes them after the test."""

    def __init__(self, vendor: PlayedVendor, directory: Path, stack: ExitStack) -> None:
        self._vendor = vendor
        self._directory = directory
        self._stack = stack

    def open(
        self, stop: StopSignal | None = None, *, request_timeout: float = DEADLINE_SECONDS
    ) -> PimsProvider:
        """A provider that is not logged in.

        Args:
            stop: The signal that it observes.
            request_timeout: The total timeout of each request; other timeouts are far longer.
        """
        requests = RequestOptions(
            per_second=1000,
            retry_base_delay=0.001,
            read_timeout=_LONG_SECONDS,
            total_timeout=request_timeout,
        )
        login = LoginOptions(artifacts_dir=self._directory, timeout=_LONG_SECONDS)
        provider = self._vendor.build(ProviderOptions(login=login, requests=requests))
        self._stack.callback(provider.close)
        provider.watch(stop or StopSignal())
        return provider

    def log_in(
        self, stop: StopSignal | None = None, *, request_timeout: float = DEADLINE_SECONDS
    ) -> PimsProvider:
        """A provider that is logged in; see ``open``.

        A login is no part of what a test with a short timeout is about, so it is tried again.
        """
        provider = self.open(stop, request_timeout=request_timeout)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                self._vendor.log_in(provider)
            except TransientError:
                if request_timeout >= DEADLINE_SECONDS or time.monotonic() >= deadline:
                    raise
            else:
                return provider


class HeldClock:
    """A monotonic clock for a ``StopSignal``, which stays at zero until ``run``."""

    def __init__(self) -> None:
        self._started: float | None = None

    def __call__(self) -> float:
        """Seconds since ``run``."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    def run(self) -> None:
        """Let the time pass from now on."""
        self._started = time.monotonic()


def _capability(provider: object, capability: type[_Wanted]) -> _Wanted:
    if not isinstance(provider, capability):
        raise NotApplicable(f"the provider does not have the capability {capability.__name__}")
    return provider


def with_lookup(provider: PimsProvider) -> LooksUpAppointments:
    """The provider, if it can look up one appointment; otherwise raises ``NotApplicable``."""
    return _capability(provider, LooksUpAppointments)  # type: ignore[type-abstract]  # a protocol to test for


def with_many_lookups(provider: PimsProvider) -> LooksUpMany:
    """The provider, if it can look up many appointments; otherwise raises ``NotApplicable``."""
    return _capability(provider, LooksUpMany)  # type: ignore[type-abstract]  # a protocol to test for


def with_changes(provider: PimsProvider) -> ListsChanges:
    """The provider, if it can list changes; otherwise raises ``NotApplicable``."""
    return _capability(provider, ListsChanges)  # type: ignore[type-abstract]  # a protocol to test for


def with_resources(provider: PimsProvider) -> ListsResources:
    """The provider, if it can list resources; otherwise raises ``NotApplicable``."""
    return _capability(provider, ListsResources)  # type: ignore[type-abstract]  # a protocol to test for


def with_profile(provider: PimsProvider) -> DescribesClinic:
    """The provider, if it can describe the clinic; otherwise raises ``NotApplicable``."""
    return _capability(provider, DescribesClinic)  # type: ignore[type-abstract]  # a protocol to test for


def with_batches(provider: PimsProvider) -> FetchesConsultations:
    """The provider, if it fetches consultations together; otherwise raises ``NotApplicable``."""
    return _capability(provider, FetchesConsultations)  # type: ignore[type-abstract]  # a protocol to test for


def with_portable_session(provider: PimsProvider) -> PortableSession:
    """The provider, if its session can be exported; otherwise raises ``NotApplicable``."""
    return _capability(provider, PortableSession)  # type: ignore[type-abstract]  # a protocol to test for


def listed(provider: PimsProvider, window: DateRange) -> dict[str, PimsAppointment]:
    """The appointments of a listing, by identity."""
    found = provider.fetch_appointments(window).appointments
    return {each.appointment_id: each for each in found}


def ended_after(
    work: Callable[[], object], begun: Callable[[], bool], act: Callable[[], object]
) -> BaseException | None:
    """The error that ended ``work`` in a thread of its own, after ``act``.

    Args:
        work: Waits for the vendor.
        begun: Whether the vendor has got its request.
        act: Called then; must end the wait.
    """
    watched = _Watched(work)
    deadline, pause = time.monotonic() + DEADLINE_SECONDS, Event()
    while not begun():
        assert time.monotonic() < deadline, "the request was never sent"
        if not watched.is_alive():
            raise AssertionError(f"it ended before its request was sent: {watched.ended()!r}")
        pause.wait(0.01)
    act()
    return watched.ended()


def ended(work: Callable[[], object]) -> BaseException | None:
    """The error that ended ``work``, which must end by itself."""
    return _Watched(work).ended()


class _Watched(Thread):
    """Work in a thread of its own: a provider that waits for ever fails its test, and no more."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._work = work
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.error = error

    def ended(self) -> BaseException | None:
        """What ended it; fails if nothing did, or if the provider lacks what it takes."""
        self.join(DEADLINE_SECONDS)
        assert not self.is_alive(), f"the wait did not end within {DEADLINE_SECONDS:g} s"
        if isinstance(self.error, NotApplicable):
            raise self.error
        return self.error
