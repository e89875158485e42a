"""The key, its location, and what the vendor refuses."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pims_pipeline.providers.http import exchange
from pims_pipeline.providers.options import LoginOptions, ProviderOptions
from pims_pipeline.providers.port import (
    AuthenticationRejected,
    Capability,
    SessionExpired,
    TransientError,
    capabilities_of,
)
from pims_pipeline.providers.registry import build_provider
from pims_pipeline.providers.stop_signal import RunStopped, StopSignal
from pims_pipeline.providers.vetspire.description import PROVIDER
from pims_pipeline.providers.vetspire.provider import VetspireProvider
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.providers.vetspire.clinics import (
    AUCKLAND,
    CATS,
    CHICAGO,
    TODAY,
    OpenVetspire,
    clinic_at,
    credentials_of,
    new_provider,
    provider_at,
)

SECRET = "vetspire-secret-key"


def test_a_wrong_key_is_refused(vetspire: SimulatorServer) -> None:
    with closing(new_provider(vetspire.base_url)) as provider:
        assert not provider.authenticate(credentials_of(api_key=SECRET))
        with pytest.raises(SessionExpired):
            provider.fetch_appointments(TODAY)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel", ""])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(
    vetspire: SimulatorServer, key: str
) -> None:
    with (
        closing(new_provider(vetspire.base_url)) as provider,
        pytest.raises(AuthenticationRejected, match="'api_key'") as raised,
    ):
        provider.authenticate(credentials_of(api_key=key))
    assert not key or key not in str(raised.value)


def test_a_key_that_does_not_open_the_location_is_refused_by_its_name(
    vetspire: SimulatorServer,
) -> None:
    with (
        closing(new_provider(vetspire.base_url)) as provider,
        pytest.raises(AuthenticationRejected, match=r"'location_id'.* '2003'; it opens: 2001"),
    ):
        provider.authenticate(credentials_of(location_id=AUCKLAND.company_id))


def test_a_key_that_is_revoked_in_the_middle_is_checked_again(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    control.add_fault("forbidden", times=None)

    with pytest.raises(SessionExpired) as raised:
        provider.fetch_appointments(TODAY)

    assert CHICAGO.api_key not in str(raised.value)
    assert control.stats().requests["listing"] <= 1
    assert provider.authenticate(credentials_of()) is False


def test_a_request_that_another_login_overtakes_is_asked_again(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    control.add_fault("drip", endpoint="listing", times=1)
    former = provider._current().client
    with ThreadPoolExecutor(1) as pool:
        overtaken = pool.submit(provider.fetch_appointments, TODAY)
        while not control.stats().requests.get("listing"):
            pass
        assert provider.authenticate(credentials_of())
        with pytest.raises(SessionExpired, match="another login"):
            overtaken.result()
    with pytest.raises(SessionExpired, match="another login"):
        former.query("query { locations { id } }", {}, what="the locations")
    assert provider.fetch_appointments(TODAY).complete


def test_the_profile_has_the_locations_that_the_key_opens(provider: VetspireProvider) -> None:
    profile = provider.clinic_profile()

    assert profile.zone == CHICAGO.timezone
    assert [each.id for each in profile.locations or ()] == [CHICAGO.company_id, CATS.company_id]
    surgeries = [each.name for each in profile.types or () if each.is_surgery]
    assert "Neuter" in surgeries


def test_an_address_without_a_path_is_the_vendors_usual_one(
    vetspire: SimulatorServer, control: SimulatorControl
) -> None:
    provider = new_provider(vetspire.base_url)
    provider._address = vetspire.base_url
    with closing(provider):
        assert provider.authenticate(credentials_of())
    assert control.stats().requests["dictionary"] == 1


def test_it_has_the_capabilities_that_it_declares(provider: VetspireProvider) -> None:
    assert capabilities_of(provider) == PROVIDER.capabilities
    assert Capability.PORTABLE_SESSION not in PROVIDER.capabilities


def test_it_is_built_by_its_type(tmp_path: Path) -> None:
    options = ProviderOptions(login=LoginOptions(artifacts_dir=tmp_path))
    with closing(build_provider(clinic_at("http://127.0.0.1:9"), options)) as built:
        assert isinstance(built, VetspireProvider)


def test_a_rate_limit_is_obeyed_and_returned(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    control.add_fault("rate_limited", endpoint="listing", retry_after=0)
    assert provider.fetch_appointments(TODAY).complete

    control.add_fault("rate_limited", endpoint="listing", retry_after=90)
    with pytest.raises(TransientError) as raised:
        provider.fetch_appointments(TODAY)
    assert raised.value.retry_after == 90


@pytest.mark.parametrize("fault", ["drip", "hang_after_headers", "endless"])
def test_a_response_that_does_not_end_is_given_up(
    control: SimulatorControl,
    open_vetspire: OpenVetspire,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr(exchange, "MAX_TRIES", 1)
    provider = open_vetspire(total_timeout=0.5)
    control.add_fault(fault, endpoint="listing", times=None)

    with pytest.raises(TransientError, match="not complete within"):
        provider.fetch_appointments(TODAY)


def test_a_hung_response_ends_with_the_run(
    vetspire: SimulatorServer, control: SimulatorControl
) -> None:
    stop = StopSignal()
    with closing(provider_at(vetspire.base_url, stop=stop)) as provider:
        control.add_fault("drip", endpoint="listing", times=None)
        timer = threading.Timer(0.1, stop.stop)
        timer.start()
        with pytest.raises(RunStopped):
            provider.fetch_appointments(TODAY)
        timer.join()


def test_no_browser_is_on_its_path() -> None:
    script = (
        "import sys, pims_pipeline.providers.vetspire.description\n"
        "assert 'httpx2' not in sys.modules\n"
        "import pims_pipeline.providers.vetspire.provider\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'playwright', 'fastapi', 'sqlalchemy', 'dagster'}, loaded\n"
        "assert not [name for name in sys.modules if 'idexx_neo' in name]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)  # noqa: S603 - our own script
