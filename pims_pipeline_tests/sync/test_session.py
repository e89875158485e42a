"""When a login happens, and above all when it does not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy.pool import QueuePool

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.port import (
    AuthenticationRejected,
    Credentials,
    HumanNeeded,
    SessionExpired,
    TransientError,
)
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.leases import LeaseTerms, login_lease
from pims_pipeline.store.secrets.credentials import NoCredentials, put_credentials
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.runner import RunLedger, sync_clinic
from pims_pipeline.sync.session import LoginBusy, clinic_session
from pims_pipeline_tests.providers.fake import FakeProvider, FakeProviderWithoutSession
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local


def _status(bench: Bench) -> object:
    (row,) = bench.rows("SELECT status FROM pims_credentials")
    return row.status


def test_one_login_serves_many_runs(bench: Bench) -> None:
    for number in range(3):
        bench.in_run(f"run-{number}").inbound()
    assert bench.vendor.logins == 1
    assert _status(bench) == "valid"


def test_a_session_without_a_request_does_not_log_in(bench: Bench) -> None:
    with clinic_session(bench.context, bench.clinic):
        pass
    assert bench.vendor.logins == 0
    assert bench.rows("SELECT * FROM credential_access_log") == []


def test_an_expired_session_is_renewed_once(bench: Bench) -> None:
    bench.inbound()
    bench.vendor.expire_sessions()
    bench.inbound()
    assert bench.vendor.logins == 2


def test_a_session_that_expires_at_once_is_not_renewed_forever(bench: Bench) -> None:
    bench.vendor.fail_next(SessionExpired("expired"), "listing", times=9)
    with pytest.raises(SessionExpired):
        bench.inbound()
    assert bench.vendor.logins == 2


def test_many_threads_that_find_the_session_expired_log_in_once(bench: Bench) -> None:
    for number in range(8):
        bench.vendor.book(str(number), local(DAY, 8, number))
        bench.vendor.record_appointment(str(number))
    bench.inbound()
    bench.vendor.expire_sessions()
    assert bench.enrich(workers=8).counts.enriched == 8
    assert bench.vendor.logins == 2


def test_two_runs_that_need_a_login_at_once_share_one(bench: Bench) -> None:
    def listing(number: int) -> int:
        run = bench.in_run(f"run-{number}")
        with clinic_session(run.context, run.clinic) as session:
            return len(session.request(lambda p: p.fetch_appointments(WINDOW)).appointments)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(listing, range(4))) == [0, 0, 0, 0]
    assert bench.vendor.logins == 1


def test_refused_credentials_are_marked_and_never_tried_again(bench: Bench) -> None:
    _store(bench, neo_credentials(username="vet@example.test", password="wrong"))
    for _ in range(3):
        with pytest.raises(AuthenticationRejected, match="pims credentials set"):
            bench.inbound()
    assert bench.vendor.logins == 1
    assert _status(bench) == "invalid"


def test_what_an_adapter_says_of_refused_credentials_is_reported_once(bench: Bench) -> None:
    refusal = AuthenticationRejected("field 'location_id': the key does not open it")
    bench.vendor.fail_next(refusal, "login")
    with pytest.raises(AuthenticationRejected, match="'location_id'"):
        bench.inbound()
    assert _status(bench) == "invalid"
    with pytest.raises(AuthenticationRejected, match="pims credentials set"):
        bench.inbound()
    assert bench.vendor.logins == 1


def test_new_credentials_are_tried(bench: Bench) -> None:
    _store(bench, neo_credentials(username="vet@example.test", password="wrong"))
    with pytest.raises(AuthenticationRejected):
        bench.inbound()
    _store(bench, bench.vendor.credentials)
    bench.inbound()
    assert _status(bench) == "valid"


def test_an_account_that_needs_a_person_is_not_tried_again(bench: Bench) -> None:
    bench.vendor.fail_next(HumanNeeded("the vendor wants a code"), "login")
    for _ in range(2):
        with pytest.raises(HumanNeeded):
            bench.inbound()
    assert bench.vendor.logins == 1
    assert _status(bench) == "needs_human"
    with clinic_session(bench.context, bench.clinic) as session:
        session.log_in()
    assert _status(bench) == "valid"
    bench.inbound()


def test_an_unreachable_login_page_leaves_the_credentials_unverified(bench: Bench) -> None:
    bench.vendor.fail_next(TransientError("login page out of reach"), "login")
    with pytest.raises(TransientError):
        bench.inbound()
    assert _status(bench) == "unverified"
    bench.inbound()


def test_credentials_replaced_while_the_old_ones_were_tried_are_not_marked(bench: Bench) -> None:
    _store(bench, neo_credentials(username="vet@example.test", password="wrong"))
    bench.vendor.on_request = _once(lambda: _store(bench, bench.vendor.credentials))
    with pytest.raises(AuthenticationRejected):
        bench.inbound()
    assert _status(bench) == "unverified"
    bench.inbound()


def test_the_error_of_missing_credentials_names_the_command(bench: Bench) -> None:
    bench.run("DELETE FROM pims_credentials")
    with pytest.raises(NoCredentials, match="pims credentials set"):
        bench.inbound()


def test_a_provider_that_keeps_no_session_logs_in_each_time(bench: Bench) -> None:
    bench.context = replace(
        bench.context, open_provider=lambda _: FakeProviderWithoutSession(bench.vendor)
    )
    bench.inbound()
    bench.inbound()
    assert bench.vendor.logins == 2


def test_a_provider_that_cannot_be_closed_costs_no_result(bench: Bench) -> None:
    class Unclosable(FakeProvider):
        def close(self) -> None:
            raise RuntimeError("hunter2")

    bench.vendor.book("1", local(DAY, 9))
    context = replace(bench.context, open_provider=lambda _: Unclosable(bench.vendor))
    report = sync_clinic(context, bench.clinic.slug, [DAY], sync_appointments, ledger=RunLedger())
    assert [each.counts.created for each in report.outcomes] == [1]


def test_every_decryption_is_logged_with_its_run(bench: Bench) -> None:
    bench.inbound()
    bench.in_run("run-2").inbound()
    rows = bench.rows("SELECT run_id, purpose FROM credential_access_log ORDER BY id")
    assert {row.run_id for row in rows} == {"run-1", "run-2"}


def test_no_connection_is_held_while_the_login_is_under_way(bench: Bench) -> None:
    held: list[int] = []
    pool = bench.engine.pool
    assert isinstance(pool, QueuePool)
    bench.vendor.on_request = lambda _: held.append(pool.checkedout())
    bench.inbound()
    assert held == [0, 0]


def _while_logging_in(bench: Bench, act: Callable[[], None]) -> Bench:
    """A bench whose login outlives its lease, and calls ``act`` during it."""
    terms = LeaseTerms(lasts=3600, renewed_every=3600)

    def outlive() -> None:
        bench.run("UPDATE login_leases SET expires_at = clock_timestamp()")
        act()

    bench.vendor.on_request = _once(outlive)
    return replace(bench, context=replace(bench.context, login_terms=terms))


def _stored(bench: Bench) -> object:
    (row,) = bench.rows("SELECT created_at, encrypted_data FROM pims_sessions")
    return row


def test_a_login_that_outlived_its_lease_leaves_the_session_of_a_newer_one(bench: Bench) -> None:
    newer: list[object] = []

    def log_in_elsewhere() -> None:
        bench.in_run("run-2").inbound()
        newer.append(_stored(bench))

    slow = _while_logging_in(bench, log_in_elsewhere)
    slow.inbound()
    assert bench.vendor.logins == 2
    assert newer == [_stored(bench)]


def test_a_refusal_that_outlived_its_lease_drops_no_newer_session(bench: Bench) -> None:
    _store(bench, neo_credentials(username="vet@example.test", password="wrong"))
    newer: list[object] = []

    def replace_and_log_in() -> None:
        _store(bench, bench.vendor.credentials)
        bench.in_run("run-2").inbound()
        newer.append(_stored(bench))

    with pytest.raises(AuthenticationRejected):
        _while_logging_in(bench, replace_and_log_in).inbound()
    assert newer == [_stored(bench)]
    assert _status(bench) == "valid"


def test_waiting_for_another_login_ends(bench: Bench, clinic: Clinic) -> None:
    short_wait = replace(bench, context=replace(bench.context, login_wait_seconds=0))
    terms = LeaseTerms(lasts=3600, renewed_every=3600)
    with (
        login_lease(bench.engine, clinic, terms, wait=lambda: None),
        pytest.raises(LoginBusy, match=f"logging in to {clinic.slug} for more than 0 seconds"),
    ):
        short_wait.inbound()
    assert bench.vendor.logins == 0
    short_wait.inbound()


def test_a_login_that_was_killed_is_followed_by_the_next_when_its_lease_expires(
    bench: Bench, clinic: Clinic
) -> None:
    dead = LeaseTerms(lasts=0.5, renewed_every=3600)
    with login_lease(bench.engine, clinic, dead, wait=lambda: None):
        bench.inbound()
    assert bench.vendor.logins == 1


def _store(bench: Bench, credentials: Credentials) -> None:
    with transaction(bench.engine) as connection:
        put_credentials(connection, bench.context.vault, bench.clinic, credentials.to_mapping())


def _once(act: Callable[[], None]) -> Callable[[str], None]:
    done: list[str] = []

    def on_request(endpoint: str) -> None:
        if not done:
            done.append(endpoint)
            act()

    return on_request
