"""One tick of the sensor ``scheduled_syncs`` with 2,000 clinics, without Dagster's daemon.

Target: 1 s at most. Run with ``python bench/deciding.py``.
"""

import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, text

from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.orchestration.instance import open_instance
from pims_pipeline.orchestration.sensors.scheduled_syncs import Scheduler
from pims_pipeline.store.clinics import add_clinic, all_clinics, set_schedule_config
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.embedded.server import start_embedded, stop_embedded

CLINICS = 2_000
TICKS = 5
ZONES = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "Europe/London",
    "Europe/Berlin",
    "Australia/Sydney",
    "Pacific/Auckland",
)
MIDNIGHT = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)

Crons = Callable[[int], tuple[str, str, str]]


def default(_: int) -> tuple[str, str, str]:
    """The defaults of a new clinic."""
    return "*/15 * * * *", "0 */2 * * *", "0 2 * * *"


def spread(number: int) -> tuple[str, str, str]:
    """Minutes that differ between clinics, to spread the load."""
    minute = number % 15
    return f"{minute}-59/15 * * * *", f"{minute} */2 * * *", f"{minute} 2 * * *"


def all_different(number: int) -> tuple[str, str, str]:
    """No two clinics with the same expression."""
    minute, hour = number % 60, number // 60
    at = f"{minute} {hour % 24}"
    week = "*" if hour < 24 else "0-6"
    return f"{at}-23 * * {week}", f"{at},23 * * {week}", f"{at} * * {week}"


def register(engine: Engine) -> None:
    """Add the clinics, spread over the time zones."""
    with transaction(engine) as connection:
        for number in range(CLINICS):
            add_clinic(
                connection,
                slug=f"clinic-{number:04}",
                name=f"Clinic {number}",
                timezone=ZONES[number % len(ZONES)],
                provider_type="idexx_neo",
                provider_base_url="https://pims.example",
            )


def plan(engine: Engine, crons: Crons) -> None:
    """Set every clinic's schedules, valid since long ago."""
    with transaction(engine) as connection:
        for number, clinic in enumerate(all_clinics(connection)):
            config = ScheduleConfig(sync_schedules=dict(zip(Phase, crons(number), strict=True)))
            set_schedule_config(connection, clinic, config)
        connection.execute(text("UPDATE clinics SET scheduled_since = '2000-01-01Z'"))
        connection.execute(text("UPDATE clinic_schedule_configs SET schedules_changed_at = '{}'"))


def measure(scheduler: Scheduler, label: str, since: datetime, now: datetime) -> None:
    """Print the slowest of some evaluations, each from the same cursor."""
    walls, busy, runs = [], [], 0
    for _ in range(TICKS):
        wall, cpu = perf_counter(), process_time()
        result = scheduler.evaluate(since.isoformat(), now)
        walls.append(perf_counter() - wall)
        busy.append(process_time() - cpu)
        runs = len(result.run_requests or [])
    print(f"  {label}: {max(walls):.2f} s ({max(busy):.2f} s of CPU), {runs} runs")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="pims-bench") as home:
        url = start_embedded(Path(home))
        engine = create_engine(url)
        migrate(engine)
        ensure_dagster_schema(engine)
        try:
            register(engine)
            with open_instance(Path(home), dagster_storage_url(url)) as instance:
                scheduler = Scheduler(
                    engine=engine,
                    instance=instance,
                    partition_start=date(MIDNIGHT.year - 1, 1, 1),
                    clinics_per_run=50,
                )
                for crons in (default, spread, all_different):
                    plan(engine, crons)
                    print(f"{CLINICS} clinics, schedules: {crons.__doc__}")
                    night = datetime.combine(
                        MIDNIGHT.date(), datetime.min.time(), ZoneInfo(ZONES[0])
                    ) + timedelta(hours=2)
                    step = timedelta(seconds=30)
                    measure(scheduler, "half a minute past two", night + step, night + 2 * step)
                    measure(scheduler, "two o'clock in New York", night - step, night)
                    measure(scheduler, "after a day's outage", night - timedelta(days=1), night)
        finally:
            engine.dispose()
            stop_embedded(Path(home))


if __name__ == "__main__":
    main()
