"""One clinic to measure: an embedded database, and a simulator in its own process."""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from time import monotonic, sleep

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import PimsProvider
from pims_pipeline.providers.registry import build_provider
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import Vendor
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import SyncContext

COMPANY = "1001"
_LOGINS: Mapping[Vendor, Mapping[str, str]] = {
    "idexx_neo": {"company_id": COMPANY, "username": "demo", "password": f"demo-{COMPANY}"},
    "vetspire": {"api_key": "vetspire-demo-juniper", "location_id": "2001"},
}
"""The login of each vendor's measured clinic, at the simulator."""


@dataclass
class MeasuredClinic:
    """A clinic with the context to sync it."""

    context: SyncContext
    clinic: Clinic
    control: SimulatorControl
    today: date
    providers: list[PimsProvider] = field(default_factory=list)

    @property
    def browser_launches(self) -> int:
        """The number of browsers launched so far."""
        return sum(
            each.browser_launches for each in self.providers if isinstance(each, IdexxNeoProvider)
        )


@contextmanager
def measured_clinic(
    *,
    appointments_per_day: int,
    requests_per_second: float | None,
    vendor: Vendor = "idexx_neo",
) -> Iterator[MeasuredClinic]:
    """A clinic with its servers running, not yet synced; all stops after the block.

    Args:
        appointments_per_day: The size of its calendar.
        requests_per_second: The rate of requests; None for the adapter's own.
        vendor: Whose clinic it is.
    """
    login = _LOGINS[vendor]
    with tempfile.TemporaryDirectory(prefix="pims-bench") as home:
        engine = create_engine(start_embedded(Path(home)))
        migrate(engine)
        try:
            with (
                simulator(appointments_per_day, vendor) as url,
                run_liveness(engine) as liveness,
            ):
                control = SimulatorControl(url)
                identity = login.get("location_id", COMPANY)
                (info,) = (each for each in control.clinics() if each.company_id == identity)
                vault = Vault(bytes(32))
                with transaction(engine) as connection:
                    clinic = add_clinic(
                        connection,
                        slug="bench",
                        name=info.name,
                        timezone=info.timezone,
                        provider_type=vendor,
                        provider_base_url=url,
                    )
                    put_credentials(connection, vault, clinic, login)
                options = ProviderOptions(
                    login=LoginOptions(artifacts_dir=Path(home) / "logins"),
                    requests=RequestOptions(per_second=requests_per_second),
                )
                providers: list[PimsProvider] = []

                def open_provider(clinic: Clinic) -> PimsProvider:
                    provider = build_provider(clinic, options)
                    providers.append(provider)
                    return provider

                context = SyncContext(
                    engine=engine,
                    vault=vault,
                    open_provider=open_provider,
                    run_id="bench",
                    liveness=liveness,
                )
                yield MeasuredClinic(context, clinic, control, info.today, providers)
        finally:
            engine.dispose()
            stop_embedded(Path(home))


@contextmanager
def simulator(
    appointments_per_day: int | None = None, vendor: Vendor = "idexx_neo"
) -> Iterator[str]:
    """The address of a simulator in its own process, so that it uses none of ours."""
    number = () if appointments_per_day is None else (str(appointments_per_day),)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from pims_pipeline.cli.main import main; main()",
            *("simulate", "--port", str(port), "--vendor", vendor),
            *(("--appointments-per-day", *number) if number else ()),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = monotonic() + 30
    while monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            sleep(0.05)
    sys.exit("the simulator did not start")
