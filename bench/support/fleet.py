"""Many clinics at their own simulator, Dagster's daemon, and the CPU that they use.

CPU is read from the live processes, because a parent's figures lack the children that it does not
wait for. The last part of a process, shorter than ``_SAMPLE_SECONDS``, is missed.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil
from dagster import DagsterInstance
from sqlalchemy import Connection, Engine

from pims_pipeline.cli.up.services import Service
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.orchestration.instance import dagster_environment, open_instance
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.store.clinics import add_clinic, set_schedule_config
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.embedded.encryption_key import encryption_key
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault

ROOT = Path(__file__).parents[2]
ZONE = "America/New_York"
_SAMPLE_SECONDS = 0.2
_UNSCHEDULED = ScheduleConfig(sync_schedules=dict.fromkeys(Phase, "off"))
_SIMULATOR = """
import sys
from pims_pipeline.simulator.practice.clinics import SimulatedClinic, SimulatorConfig
from pims_pipeline.simulator.server import serve
clinics = tuple(
    SimulatedClinic(
        company_id=str(2000 + number), name=f"Clinic {number}", timezone=sys.argv[2],
        username="demo", password=f"demo-{2000 + number}",
    )
    for number in range(int(sys.argv[1]))
)
config = SimulatorConfig(clinics=clinics, idle_timeout_s=28800)
serve(config, port=0, on_ready=lambda url: print(url, flush=True))
"""


@dataclass
class Usage:
    """CPU seconds by kind of process."""

    dagster: float = 0
    postgres: float = 0
    browsers: float = 0

    @property
    def total(self) -> float:
        """The sum of all kinds."""
        return self.dagster + self.postgres + self.browsers

    def since(self, before: "Usage") -> "Usage":
        """The difference to an earlier reading."""
        return Usage(
            self.dagster - before.dagster,
            self.postgres - before.postgres,
            self.browsers - before.browsers,
        )


class Meter:
    """Sums the CPU of a database server, and of Dagster's processes with their children."""

    def __init__(self, postmaster: int) -> None:
        self._postmaster = psutil.Process(postmaster)
        self._dagster: list[psutil.Process] = []
        self._seen: dict[psutil.Process, tuple[bool, float]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def follow(self, pid: int) -> None:
        """Count a process of Dagster's."""
        self._dagster.append(psutil.Process(pid))

    def read(self) -> Usage:
        """CPU seconds so far."""
        self._sample()
        usage = Usage(postgres=self._of_postgres())
        with self._lock:
            for is_browser, seconds in self._seen.values():
                if is_browser:
                    usage.browsers += seconds
                else:
                    usage.dagster += seconds
        return usage

    def _of_postgres(self) -> float:
        # Backends end between two samples; the server sums its ended children.
        own = self._postmaster.cpu_times()
        seconds = own.user + own.system + own.children_user + own.children_system
        for each in self._postmaster.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                seconds += times.user + times.system
        return seconds

    def _watch(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        with self._lock:
            for root in self._dagster:
                with suppress(psutil.NoSuchProcess):
                    for each in (root, *root.children(recursive=True)):
                        self._note(each)

    def _note(self, process: psutil.Process) -> None:
        with suppress(psutil.NoSuchProcess):
            times, name = process.cpu_times(), process.name()
            # Playwright drives the browser from a process of its own.
            is_browser = any(word in name for word in ("chrom", "node"))
            self._seen[process] = (is_browser, times.user + times.system)


@dataclass
class Fleet:
    """Clinics, their database, and the meter of their CPU."""

    home: Path
    engine: Engine
    instance: DagsterInstance
    vault: Vault
    meter: Meter
    vendor_url: str
    environment: Mapping[str, str] = field(repr=False)
    clinics: list[Clinic] = field(default_factory=list)

    def add(self, number: int) -> list[Clinic]:
        """Add this many clinics with logins, neither synced nor scheduled."""
        first = len(self.clinics)
        with transaction(self.engine) as connection:
            added = [
                _clinic(connection, self.vault, place, self.vendor_url)
                for place in range(first, first + number)
            ]
            for each in added:
                set_schedule_config(connection, each, _UNSCHEDULED)
        self.clinics += added
        return added

    def plan(self, clinics: Sequence[Clinic], config: ScheduleConfig) -> None:
        """Set the schedules of clinics."""
        with transaction(self.engine) as connection:
            for clinic in clinics:
                set_schedule_config(connection, clinic, config)

    @contextmanager
    def daemon(self, **settings: str) -> Iterator[None]:
        """Dagster's daemon with its code server, measured; ready when the block begins."""
        began = time.time()
        command = [sys.executable, "-m", "dagster._daemon", "run", "-w", ROOT / "workspace.yaml"]
        service = Service(
            "dagster-daemon",
            [str(word) for word in command],
            {**self.environment, **settings},
            self.home / "daemon.log",
        )
        with service:
            process = service._process  # noqa: SLF001 - Service does not give its id
            assert process is not None
            self.meter.follow(process.pid)
            wait(lambda: self._has_decided(began), "the sensor's first tick")
            yield

    def _has_decided(self, after: float) -> bool:
        return any(
            tick.timestamp > after and tick.is_completed
            for state in self.instance.all_instigator_state()
            if state.name == "scheduled_syncs"
            for tick in self.instance.get_ticks(
                state.instigator_origin_id, state.selector_id, limit=1
            )
        )


@contextmanager
def fleet(
    number: int, *, vendor_clinics: int | None = None, latency_seconds: float = 0
) -> Iterator[Fleet]:
    """This many clinics with logins, neither synced nor scheduled; stopped after the block.

    Args:
        number: How many clinics are there at once.
        vendor_clinics: How many there may become; ``number`` if none are added.
        latency_seconds: How long the vendor takes for each response.
    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pims-bench")))
        url = start_embedded(home)
        stack.callback(stop_embedded, home)
        engine = create_engine(url)
        stack.callback(engine.dispose)
        migrate(engine)
        ensure_dagster_schema(engine)
        postmaster = (home / "postgres" / "postmaster.pid").read_text().split()[0]
        meter = stack.enter_context(Meter(int(postmaster)))
        storage = dagster_storage_url(url)
        environment = {**os.environ, **dagster_environment(home, storage), "PIMS_HOME": str(home)}
        environment.pop("PIMS_DATABASE_URL", None)
        vault = Vault.from_base64(encryption_key(home))
        base_url = stack.enter_context(_simulator(vendor_clinics or number))
        if latency_seconds:
            with closing(SimulatorControl(base_url)) as control:
                control.add_fault("latency", times=None, seconds=latency_seconds)
        instance = stack.enter_context(open_instance(home, storage))
        world = Fleet(home, engine, instance, vault, meter, base_url, environment)
        world.add(number)
        yield world


def company_of(clinic: Clinic) -> str:
    """The company id of a clinic of the fleet, at its simulator."""
    return str(2000 + int(clinic.slug.removeprefix("clinic-")))


def _clinic(connection: Connection, vault: Vault, place: int, base_url: str) -> Clinic:
    company = str(2000 + place)
    clinic = add_clinic(
        connection,
        slug=f"clinic-{place:03}",
        name=f"Clinic {place}",
        timezone=ZONE,
        provider_type="idexx_neo",
        provider_base_url=base_url,
    )
    login = {"company_id": company, "username": "demo", "password": f"demo-{company}"}
    put_credentials(connection, vault, clinic, login)
    return clinic


@contextmanager
def _simulator(clinics: int) -> Iterator[str]:
    """The address of a simulator with this many clinics, in its own process."""
    command = [sys.executable, "-c", _SIMULATOR, str(clinics), ZONE]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


def wait(condition: Callable[[], bool], what: str, seconds: float = 900) -> None:
    """Return once the condition holds; end the benchmark when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"timed out waiting for {what}")
        time.sleep(0.5)
