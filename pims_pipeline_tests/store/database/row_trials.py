"""Try each statement on each table as the API's role, and roll it back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.store.tenant_rows import TenantRows, another_row

SLUGS = ("maple-street", "oak-lane")
DENIED = "permission denied"
REFUSED = "row refused"
MALFORMED = "setting malformed"
NO_ROWS: frozenset[str] = frozenset()


@contextmanager
def rolled_back(engine: Engine, setting: str | None) -> Iterator[Connection]:
    """A transaction with the setting that names the clinic; it is rolled back."""
    with engine.connect() as connection:
        if setting is not None:
            statement = text("SELECT set_config('pims.clinic_id', :setting, true)")
            connection.execute(statement, {"setting": setting})
        yield connection
        connection.rollback()


class RowTrial:
    """Statements tried with one setting, and their outcomes."""

    def __init__(
        self, engine: Engine, setting: str | None, stored: Mapping[str, TenantRows]
    ) -> None:
        self._engine = engine
        self._setting = setting
        self._stored = stored
        self._slugs = {tables["clinics"]["id"]: slug for slug, tables in stored.items()}

    def outcome(self, name: str, verb: str) -> object:
        table = metadata.tables[name]
        # These belong to no clinic: the owner alone reads them.
        named = {
            "clinics": "id",
            "run_leases": "owner",
            "operators": "id",
            "operator_sign_ins": "id_hash",
            "sign_in_attempts": "subject",
        }
        clinic = table.c[named.get(name, "clinic_id")]
        if verb == "SELECT":
            return self._tried(select(clinic))
        if verb == "UPDATE":
            return self._tried(update(table).values({clinic: clinic}).returning(clinic))
        if verb == "DELETE":
            return self._tried(delete(table).returning(clinic))
        outcomes = {
            slug: self._added(insert(table).values(another_row(name, tables[name])), slug)
            for slug, tables in self._stored.items()
        }
        return DENIED if all(each == DENIED for each in outcomes.values()) else outcomes

    def _tried(self, statement: Executable) -> object:
        with rolled_back(self._engine, self._setting) as connection:
            try:
                return {self._slugs[clinic_id] for clinic_id in connection.scalars(statement)}
            except DBAPIError as error:
                return _refusal(str(error))

    def _added(self, statement: Executable, slug: str) -> object:
        # Without RETURNING: reading what was added would be refused in any case.
        with rolled_back(self._engine, self._setting) as connection:
            try:
                connection.execute(statement)
            except DBAPIError as error:
                return _refusal(str(error))
            return {slug}


def _refusal(message: str) -> str:
    if "permission denied for table" in message:
        return DENIED
    if "violates row-level security policy" in message:
        return REFUSED
    if "[22P02" in message:
        return MALFORMED
    raise AssertionError(message)
