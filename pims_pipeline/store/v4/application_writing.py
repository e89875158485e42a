"""Write the application's rows of cases: the columns and keys that a plan names, no others.

A statement sets only the columns that change, so that the application's triggers on other columns
do not run. Reading the rows belongs in ``application_rows``.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.adoption.application.metadata import ConsultationChange
from pims_pipeline.domain.adoption.application.rows import RowKind, RowWrite
from pims_pipeline.domain.adoption.importing import (
    APPOINTMENT_KEY,
    CONSULTATION_KEY,
    RECONCILIATION_KEY,
)
from pims_pipeline.domain.records.canonical import canonical_json
from pims_pipeline.store.database.batches import Columns, execute_batches
from pims_pipeline.store.v4.application_rows import PATIENTS, id_column, type_column
from pims_pipeline.store.v4.installation import Installation, quoted
from pims_pipeline.store.v4.their_path import at_theirs

SOURCE = "pims:idexx-neo"
"""The source of the cases that the v4.0 service makes."""


def write_rows(
    connection: Connection, installation: Installation, clinic_id: UUID, writes: Iterable[RowWrite]
) -> None:
    """Write what is planned, in their tables alone.

    Raises:
        ApplicationRefused: If a constraint or a trigger of theirs refuses it.
    """
    all_writes = list(writes)
    if not all_writes:
        return
    with at_theirs(connection, installation) as our_schema:
        types = _types(connection, installation)
        work = _Writing(connection, installation, clinic_id, our_schema, types)
        created = [each for each in all_writes if each.kind is RowKind.CREATED]
        for group in _grouped(created, _values_of):
            work.insert_cases(group)
        for group in _grouped(all_writes, _changes_of):
            work.update_cases(group)
        for group in _grouped([each for each in all_writes if each.is_new_patient], _patient_of):
            work.insert_patients(group)
        changed = [each for each in all_writes if each.patient and not each.is_new_patient]
        for group in _grouped(changed, _patient_of):
            work.update_patients(group)


def _types(connection: Connection, installation: Installation) -> Mapping[tuple[str, str], str]:
    """By table and column its type, as a cast names it.

    Without its length: a cast would cut a longer value off and say nothing.
    """
    rows = connection.execute(
        text(
            """
            SELECT c.relname AS name, CAST(a.attname AS text) AS column_name,
                format_type(a.atttypid, -1) AS type
            FROM pg_catalog.pg_attribute AS a
            JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = :schema AND c.relname IN ('cases', 'patients')
              AND a.attnum > 0 AND NOT a.attisdropped
            """
        ),
        {"schema": installation.schema},
    )
    return {(row.name, row.column_name): row.type.replace(":", "\\:") for row in rows}


Key = tuple[str, ...]


def _grouped(writes: Iterable[RowWrite], key_of: Callable[[RowWrite], Key]) -> list[list[RowWrite]]:
    """The writes by what they set, in a fixed order; those that set nothing are left out."""
    groups: dict[Key, list[RowWrite]] = {}
    for write in writes:
        if key := key_of(write):
            groups.setdefault(key, []).append(write)
    return [groups[key] for key in sorted(groups)]


def _values_of(write: RowWrite) -> Key:
    return tuple(sorted(write.values))


def _patient_of(write: RowWrite) -> Key:
    return tuple(sorted(write.patient)) or (("",) if write.is_new_patient else ())


def _changes_of(write: RowWrite) -> Key:
    """What an UPDATE of the case sets; a created row has its columns already."""
    change = write.metadata
    parts = [] if write.kind is RowKind.CREATED else list(_values_of(write))
    if change.appointment:
        parts.append("+appointment")
    if change.consultation is not None:
        parts.append(f"+consultation {change.consultation}")
    if change.mark is not None:
        parts.append("+mark")
    if change.drops_mark:
        parts.append("+no mark")
    return tuple(parts)


class _Writing:
    """The statements of one write. Groups of rows that set the same are written together."""

    def __init__(
        self,
        connection: Connection,
        installation: Installation,
        clinic_id: UUID,
        our_schema: str,
        types: Mapping[tuple[str, str], str],
    ) -> None:
        self._connection = connection
        self._installation = installation
        self._clinic_id = clinic_id
        self._ours = f"{quoted(our_schema)}.cases"
        self._types = types

    def insert_cases(self, group: list[RowWrite]) -> None:
        """Insert the rows with their columns, and no metadata yet."""
        columns = _case_columns(_values_of(group[0]))
        names = ["id", "clinic_id", *map(self._their_column, columns)]
        values = ["r.id", ":clinic_id", *(self._cast("cases", name) for name in columns)]
        if self._installation.has("cases", "source"):
            names, values = [*names, "source"], [*values, ":source"]
        if self._installation.has("cases", "user_id"):
            # Whose cases the v4.0 service makes; row-level security there may depend on it.
            names, values = [*names, "user_id"], [*values, f"({self._newest_user()})"]
        shown = ", ".join(quoted(name) for name in [*names, "metadata", "created_at", "updated_at"])
        self._execute(
            f"INSERT INTO {self._installation.table('cases')} ({shown}) "  # noqa: S608 - quoted
            f"SELECT {', '.join(values)}, jsonb_build_object(), now(), now() FROM {{rows}}",
            columns,
            group,
        )

    def _newest_user(self) -> str:
        return (
            f"SELECT u.user_id FROM {self._installation.table('cases')} AS u "  # noqa: S608 - quoted
            "WHERE u.clinic_id = :clinic_id AND u.source = :source AND u.user_id IS NOT NULL "
            "ORDER BY u.created_at DESC, u.id LIMIT 1"
        )

    def update_cases(self, group: list[RowWrite]) -> None:
        """Set the columns and keys that change, and when they did."""
        parts = _changes_of(group[0])
        columns = _case_columns([part for part in parts if not part.startswith("+")])
        sets = [
            f"{quoted(self._their_column(name))} = {self._cast('cases', name)}" for name in columns
        ]
        keys = [part for part in parts if part.startswith("+")]
        if keys:
            sets.append(f"metadata = {_metadata(keys)}")
            columns |= _KEY_COLUMNS
        self._execute(
            f"UPDATE {self._installation.table('cases')} AS c "  # noqa: S608 - quoted
            f"SET {', '.join([*sets, 'updated_at = now()'])} FROM {{rows}} "
            f"JOIN {self._ours} AS o ON o.id = r.our_id WHERE c.id = r.id",
            columns | _OUR_ID,
            group,
        )

    def insert_patients(self, group: list[RowWrite]) -> None:
        """Insert a row for each case that has none; a trigger of theirs may just have made it."""
        columns = _patient_columns(group[0].patient)
        if columns:
            self._set_patients(columns, group, "p.case_id = r.id")
        names = ["case_id", *columns]
        values = ["r.id", *(self._cast(PATIENTS, name) for name in columns)]
        if self._types[PATIENTS, "id"] == "uuid":
            # A number has a default; an id of this kind need not have one.
            names, values = ["id", *names], ["gen_random_uuid()", *values]
        if self._installation.has(PATIENTS, "clinic_id"):
            names, values = [*names, "clinic_id"], [*values, ":clinic_id"]
        self._execute(
            f"INSERT INTO {self._installation.table(PATIENTS)} "  # noqa: S608 - quoted
            f"({', '.join(map(quoted, names))}) SELECT {', '.join(values)} FROM {{rows}} "
            f"WHERE NOT EXISTS (SELECT FROM {self._installation.table(PATIENTS)} AS p "
            "WHERE p.case_id = r.id)",
            columns,
            group,
        )

    def update_patients(self, group: list[RowWrite]) -> None:
        """Set the names that change, and when they did."""
        patient_id = (self._types[PATIENTS, "id"], lambda write: write.patient_id)
        columns = _patient_columns(group[0].patient)
        self._set_patients(columns, group, "p.id = r.patient_id", {"patient_id": patient_id})

    def _set_patients(
        self,
        columns: Columns,
        group: list[RowWrite],
        which: str,
        by: Columns = MappingProxyType({}),
    ) -> None:
        sets = [f"{quoted(name)} = {self._cast(PATIENTS, name)}" for name in columns]
        if self._installation.has(PATIENTS, "updated_at"):
            sets.append("updated_at = now()")
        self._execute(
            f"UPDATE {self._installation.table(PATIENTS)} AS p SET {', '.join(sets)} "  # noqa: S608 - quoted
            f"FROM {{rows}} WHERE {which}",
            {**columns, **by},
            group,
        )

    def _their_column(self, name: str) -> str:
        if name == "external_id":
            return id_column(self._installation)
        return type_column(self._installation) if name == "case_type" else name

    def _cast(self, table: str, name: str) -> str:
        column = self._their_column(name) if table == "cases" else name
        return f"CAST(r.{name} AS {self._types[table, column]})"

    def _execute(self, statement: str, columns: Columns, group: list[RowWrite]) -> None:
        execute_batches(
            self._connection,
            statement,
            {"id": ("uuid", lambda write: write.case.row_id), **columns},
            group,
            {"clinic_id": self._clinic_id, "source": SOURCE},
        )


_OUR_ID: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "our_id": ("uuid", lambda write: write.case.id)
}
_KEY_COLUMNS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "appointment": ("text", lambda write: canonical_json(write.metadata.appointment)),
    "mark": ("text", lambda write: json.dumps(write.metadata.mark)),
}


def _case_columns(names: Iterable[str]) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    return {name: ("text", _value(name)) for name in names}


def _value(name: str) -> Callable[[RowWrite], Any]:
    return lambda write: write.values[name]


def _patient_columns(names: Iterable[str]) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    return {name: ("text", _patient_value(name)) for name in sorted(names)}


def _patient_value(name: str) -> Callable[[RowWrite], Any]:
    return lambda write: write.patient[name]


def _metadata(parts: Iterable[str]) -> str:
    """The row's metadata with these changes to its keys; every other key is as it was."""
    value = _object("c.metadata")
    for part in parts:
        if part == "+appointment":
            there = _object(f"c.metadata -> '{APPOINTMENT_KEY}'")
            value += _with(APPOINTMENT_KEY, f"{there} || CAST(r.appointment AS jsonb)")
        elif part == f"+consultation {ConsultationChange.SET}":
            value += _with(CONSULTATION_KEY, _CONSULTATION)
        elif part == f"+consultation {ConsultationChange.REMOVE}":
            value = f"({value}) - '{CONSULTATION_KEY}'"
        elif part == "+mark":
            value += _with(RECONCILIATION_KEY, "CAST(r.mark AS jsonb)")
        else:
            value = f"({value}) - '{RECONCILIATION_KEY}'"
    return value


def _with(key: str, value: str) -> str:
    return f" || jsonb_build_object('{key}', {value})"


def _object(value: str) -> str:
    return f"(CASE jsonb_typeof({value}) WHEN 'object' THEN {value} ELSE jsonb_build_object() END)"


_THERE = _object(f"c.metadata -> '{CONSULTATION_KEY}'")
# Fields of the v4.0 service that we do not have stay beside ours, if it is the same consultation.
_CONSULTATION = f"""CASE
    WHEN c.metadata #>> '{{{{{CONSULTATION_KEY},consultationId}}}}'
        = o.metadata #>> '{{{{consultation,consultationId}}}}'
    THEN {_THERE} || (o.metadata -> 'consultation') || jsonb_build_object('vitals',
        {_object(f"c.metadata #> '{{{{{CONSULTATION_KEY},vitals}}}}'")}
        || {_object("o.metadata #> '{{consultation,vitals}}'")})
    ELSE o.metadata -> 'consultation' END"""
