"""50,000 appointments of one clinic: this pipeline beside dlt, target-postgres and SQL alone.

All load the same appointments on one server, in turn: a first load, and the same again, unchanged.
This pipeline decides what changed, and writes appointments, cases and events (three tables); the
peers keep one table with the appointments' fields, and neither decide nor keep events. They are
programs of their own, in environments that ``make bench-peers`` makes. Times are those of the load,
without imports and without making the rows.
Run with ``make bench-peers``; it takes some minutes.
"""

import json
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psycopg
from bulk_inbound import ROWS, calendar
from psycopg import sql
from support.measured import run
from support.postgres import Server, server
from support.results import parser, report

from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import migrate

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers"
LOADS = ("first", "unchanged")
WRITTEN = ("pims_appointments", "cases", "case_events")


@dataclass(frozen=True, slots=True)
class Contender:
    """A program that loads the appointments.

    Attributes:
        script: Its file in ``bench/peers/``.
        python: The interpreter of its environment.
        table: A table that has a row for each appointment afterwards.
        template: The database that its own is a copy of.
    """

    name: str
    script: str
    python: Path
    table: str
    template: str = "template1"
    driver: str = "postgresql"

    def measure(self, world: Server, database: str, rows: Path) -> dict[str, float]:
        """Load the rows into a database, and return the figures."""
        # So that no load pays for what the one before it wrote.
        world.execute(sql.SQL("CHECKPOINT"))
        url = world.url(database).replace("postgresql", self.driver, 1)
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
            # What this process was given may be another checkout of the pipeline.
            "PYTHONPATH": os.pathsep.join(
                [str(HERE), str(HERE / "peers"), os.environ.get("PYTHONPATH", "")]
            ),
            "PEER_DATABASE_URL": url,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        before = world.cpu_seconds()
        done = run(
            [self.python, HERE / "peers" / self.script, rows],
            environment,
            directory=world.directory / database,
        )
        figures = json.loads(done.output.splitlines()[-1])
        postgres = world.cpu_seconds() - before
        return {
            "rows_per_second": ROWS / figures["seconds"],
            "rows_per_cpu_second": ROWS / (figures["cpu_seconds"] + postgres),
            **figures,
            "postgres_cpu_seconds": postgres,
        }


OURS = Contender("ours", "load_ours.py", Path(sys.executable), "case_events", template="pims")
RAW = Contender("raw", "load_raw.py", Path(sys.executable), "case_events", template="pims")
DLT = Contender("dlt", "load_dlt.py", PEERS / "dlt/bin/python", "appointments")
TARGET = Contender(
    "target-postgres",
    "load_target_postgres.py",
    PEERS / "target_postgres/bin/python",
    "appointments",
    driver="postgresql+psycopg",
)


def main() -> None:
    """Measure, print and keep."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=3, help="the median of so many is kept")
    arguments = options.parse_args()
    with server() as world:
        prepare(world)
        rounds = [dict(one_round(world, number)) for number in range(arguments.rounds)]
    figures = {
        name: {load: medians([each[name][load] for each in rounds]) for load in LOADS}
        for name in rounds[0]
    }
    versions = {DLT.name: version_of(DLT, "dlt")}
    versions[TARGET.name] = version_of(TARGET, "meltanolabs-target-postgres")
    versions[OURS.name] = version("pims-pipeline")
    kept = {"rows": ROWS, "rounds": arguments.rounds, "versions": versions, "loads": figures}
    report("peers", "make bench-peers", kept, arguments)


def medians(samples: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: statistics.median(each[name] for each in samples) for name in samples[0]}


def prepare(world: Server) -> None:
    """Make the tables and the clinic of this pipeline, and the file of the peers' rows."""
    engine = create_engine(world.url())
    migrate(engine)
    with transaction(engine) as connection:
        add_clinic(
            connection,
            slug="bulk",
            name="Bulk",
            timezone="America/New_York",
            provider_type="idexx_neo",
            provider_base_url="http://localhost",
        )
    engine.dispose()
    with (world.directory / "rows.jsonl").open("w", encoding="utf-8") as file:
        for row in peers_rows():
            file.write(json.dumps(row) + "\n")


def peers_rows() -> Iterator[dict[str, str | None]]:
    """The appointments as flat rows of text."""
    for each in calendar(date(2026, 1, 1)):
        fields = asdict(each)
        people = {name: fields.pop(name) or {} for name in ("patient", "client")}
        flat = {f"{name}_{key}": value for name in people for key, value in people[name].items()}
        yield {
            name: value.isoformat() if hasattr(value, "isoformat") else str(value)
            for name, value in (fields | flat).items()
            if value is not None and value != ()
        }


def one_round(world: Server, number: int) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """Measure each contender on databases of its own, which are dropped afterwards."""
    dumped = world.directory / f"tables_{number}"
    dumped.mkdir()
    for each in (OURS, RAW, DLT, TARGET):
        database = f"{each.script.removesuffix('.py')}_{number}"
        (world.directory / database).mkdir()
        world.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(database), sql.Identifier(each.template)
            ),
        )
        rows = world.directory / "rows.jsonl"
        if each is RAW:
            rows = dumped
            read_tables(world, database, dumped, ("case_sync_audits",))
        figures = {}
        for load in LOADS:
            figures[load] = each.measure(world, database, rows)
            check(world, database, each.table)
            if each is OURS and load == "first":
                write_tables(world, database, dumped, ("case_sync_audits", *WRITTEN))
            print(
                f"{each.name}, {load}: {figures[load]['rows_per_second']:,.0f} rows/s", flush=True
            )
        world.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))
        yield each.name, figures


def check(world: Server, database: str, table: str) -> None:
    """Make sure that each appointment is there once."""
    with psycopg.connect(world.url(database)) as connection:
        counted = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        assert connection.execute(counted).fetchone() == (ROWS,), (database, table)


def write_tables(world: Server, database: str, directory: Path, tables: Sequence[str]) -> None:
    """Write tables into files of their names."""
    with psycopg.connect(world.url(database)) as connection, connection.cursor() as cursor:
        for table in tables:
            statement = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))
            with (directory / table).open("wb") as file, cursor.copy(statement) as copy:
                for data in copy:
                    file.write(data)


def read_tables(world: Server, database: str, directory: Path, tables: Sequence[str]) -> None:
    """Read tables from files of their names."""
    with psycopg.connect(world.url(database)) as connection, connection.cursor() as cursor:
        for table in tables:
            statement = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
            with cursor.copy(statement) as copy:
                copy.write((directory / table).read_bytes())


def version_of(contender: Contender, package: str) -> str:
    """The version of a package in a contender's environment."""
    asking = f"from importlib.metadata import version; print(version({package!r}))"
    return run([contender.python, "-c", asking], {}).output.strip()


if __name__ == "__main__":
    main()
