"""The process that ``logins.py`` measures: logs in again and again, and prints when.

It prints ``ready`` after its imports, a line after each login, and ``done``. After each of
``ready`` and ``done`` it waits for a line, while its memory and processes are read.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS


def log_in(place: int, base_url: str, options: ProviderOptions) -> None:
    """Log in to one of the simulator's clinics; end the benchmark if that fails."""
    simulated = DEFAULT_CLINICS[place % len(DEFAULT_CLINICS)]
    clinic = Clinic(
        id=UUID(int=place),
        slug=f"clinic-{place}",
        name=simulated.name,
        timezone=simulated.timezone,
        provider_type="idexx_neo",
        provider_base_url=base_url,
        is_active=True,
    )
    provider = IdexxNeoProvider(clinic, options)
    credentials = neo_credentials(simulated.username, simulated.password, simulated.company_id)
    assert provider.authenticate(credentials), "the login was refused"
    provider.close()
    print("login", flush=True)


def main() -> None:
    """Log in; arguments: the simulator, the number of logins, how many at once, a directory."""
    base_url, logins, at_once, home = sys.argv[1:]
    options = ProviderOptions(
        login=LoginOptions(artifacts_dir=Path(home)),
        requests=RequestOptions(per_second=1000),
    )
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(int(at_once)) as threads:
        for each in [
            threads.submit(log_in, place, base_url, options) for place in range(int(logins))
        ]:
            each.result()
    print("done", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
