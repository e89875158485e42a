"""The checks of Dagster: its storage; its webserver, its daemon and our code location.

Where DAGSTER_GRAPHQL_URL names a webserver, it is asked; elsewhere Dagster's storage is read, which
shows the daemon alone.
"""

from collections.abc import Iterator

from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import DoctorFinding
from pims_pipeline.providers.stop_signal import StopSignal

OLD_SECONDS = 300.0
"""The daemon writes a heartbeat every half minute; one this old means that it is gone."""
_START = "start the daemon: `pims up`, or `pims part daemon`"


def check_dagster_storage(
    installation: CheckedInstallation, _stop: StopSignal
) -> Iterator[DoctorFinding]:
    """Whether Dagster's storage can be reached, with sessions of its own and its schema."""
    url = installation.dagster_storage_url
    if url is None:
        return
    # The driver is Dagster's own, which a host of the API alone does without.
    from pims_pipeline.store.dagster.connections import (  # noqa: PLC0415 - see above
        check_storage,
    )

    # `pims migrate` creates the schema in the database of cases, and in no other.
    check_storage(url, with_schema=not installation.shares_dagster_storage, tries=1)
    yield DoctorFinding.ok("Dagster's storage can be reached, and its sessions are its own")


def check_dagster(installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
    """Webserver, code location, daemon."""
    if installation.dagster_url is not None:
        yield from _over_graphql(installation.dagster_url, installation.clock())
    elif installation.dagster_storage_url is not None:
        yield from _from_storage(installation.dagster_storage_url, installation.clock())


def _over_graphql(url: str, now: float) -> Iterator[DoctorFinding]:
    # Where no address is configured, no HTTP client is needed.
    from pims_pipeline.api.dagster_client import DagsterClient  # noqa: PLC0415 - see above

    client = DagsterClient(url)
    try:
        state = client.state()
        yield DoctorFinding.ok(
            f"the webserver responds: {state.queued} runs queued, {state.running} running"
        )
        client.check()
        yield DoctorFinding.ok("the code location is loaded")
        yield daemon(state.daemon_seen_at, now, is_expected=True)
    finally:
        client.close()


def _from_storage(url: str, now: float) -> Iterator[DoctorFinding]:
    # It loads Dagster, which takes seconds.
    from pims_pipeline.orchestration.storage.heartbeats import (  # noqa: PLC0415 - see above
        last_heartbeat,
    )

    yield daemon(last_heartbeat(url), now, is_expected=False)
    yield DoctorFinding.skipped(
        "webserver and code location: set DAGSTER_GRAPHQL_URL to check them"
    )


def daemon(seen_at: float | None, now: float, *, is_expected: bool) -> DoctorFinding:
    """What the daemon's last heartbeat means.

    Args:
        seen_at: Seconds since 1970; None if it never sent one.
        now: The same.
        is_expected: Whether an installation like this has a daemon.
    """
    if seen_at is None:
        text = "the daemon has never run on this database"
    else:
        # The clock of the daemon's host may be ahead.
        age = max(0.0, now - seen_at)
        text = f"the daemon's last heartbeat was {age:.0f} s ago"
        if age < OLD_SECONDS:
            return DoctorFinding.ok(text)
    text = f"{text}: no schedule and no alert works"
    return (
        DoctorFinding.failed(text, _START) if is_expected else DoctorFinding.warning(text, _START)
    )
