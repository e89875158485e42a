"""Bringing every stored secret under the current key, a few rows at a time.

``vault`` defines envelopes; ``credentials`` and ``sessions``, their content. Each batch is a
transaction that locks its rows before it reads them: a login or session that is stored at the same
time comes before the batch or after it, and stays. A killed rotation leaves each row under one key
or the other; the next one does the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    LargeBinary,
    Row,
    Table,
    Text,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql.elements import ColumnElement

from pims_pipeline.store.database.batches import Columns, execute_batches
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.vault import KeyGone, Undecryptable, Vault
from pims_pipeline.store.tables.access import credential_access_log, pims_credentials, pims_sessions
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline.store.tables.webhooks import webhooks

BATCH_ROWS = 100
"""A batch holds its rows' locks while it works: for some milliseconds."""
_PURPOSE = "rotation"
_TABLES = (pims_credentials, pims_sessions, webhooks)
_LOGGED_AS = "webhook"

ShowProgress = Callable[[int, int], None]
"""Receives after each batch how many rows are done, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckRow:
    """A row that stays as it is, because it cannot be decrypted.

    Attributes:
        table: ``pims_credentials``, ``pims_sessions`` or ``webhooks``.
        provider_type: Of a webhook, its id.
        key_gone: Whether its key is not among ours; otherwise it was damaged, or belongs to
            another row.
    """

    clinic_slug: str
    table: str
    provider_type: str
    key_gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation did.

    Attributes:
        credentials: Logins that were brought under the current key.
        sessions: Sessions that were.
        webhooks: Webhooks whose secrets were.
        sessions_dropped: Sessions that had expired or whose key is gone: the next sync logs in.
        left: Rows that others wrote under another key during the rotation.
    """

    credentials: int
    sessions: int
    webhooks: int
    sessions_dropped: int
    stuck: tuple[StuckRow, ...]
    left: int

    @property
    def is_complete(self) -> bool:
        """Whether everything that is stored is under the current key."""
        return not self.stuck and not self.left


class _Key(NamedTuple):
    """Names a row of a table, as its envelope does."""

    clinic_id: UUID
    provider_type: str


class _Renewed(NamedTuple):
    """A row's envelope under the current key, in hexadecimal."""

    clinic_id: UUID
    provider_type: str
    envelope: str


@dataclass(slots=True)
class _Tally:
    done: dict[str, int] = field(default_factory=lambda: {table.name: 0 for table in _TABLES})
    dropped: int = 0
    stuck: dict[tuple[str, _Key], StuckRow] = field(default_factory=dict)


def rotate(
    engine: Engine,
    vault: Vault,
    *,
    run_id: str,
    batch_rows: int = BATCH_ROWS,
    show_progress: ShowProgress = lambda done, total: None,  # noqa: ARG005 - the default ignores them
) -> Rotation:
    """Re-encrypt all secrets that are not under the vault's current key.

    These are credentials, sessions and the signing secrets of webhooks.

    The other columns of a row stay: its status, and its times. Each decryption
    leaves a row in the access log, with the purpose ``rotation``.

    Args:
        engine: On the database of cases.
        vault: Holds the current key, and the retired ones that decrypt what is left.
        run_id: What the access log names in place of a run.
        batch_rows: Rows in one transaction.
        show_progress: Called after each transaction.

    Raises:
        DatabaseUnavailable: If the database cannot be reached. Batches that were done stay
            done.
    """
    tally = _Tally()
    with transaction(engine) as connection:
        tally.dropped = _drop_expired_sessions(connection, vault)
        batches = list(_batches(connection, vault, batch_rows))
    total, seen = sum(len(keys) for _, keys in batches), 0
    for table, keys in batches:
        with transaction(engine) as connection:
            batch = _rotate_batch(connection, vault, table, keys, run_id)
        # Counted once it is committed.
        tally.done[table.name] += batch.done[table.name]
        tally.dropped += batch.dropped
        tally.stuck |= batch.stuck
        seen += len(keys)
        show_progress(seen, total)
    with transaction(engine) as connection:
        outdated = {
            (table.name, key)
            for table in _TABLES
            for key in _outdated_keys(connection, vault, table)
        }
    return Rotation(
        credentials=tally.done[pims_credentials.name],
        sessions=tally.done[pims_sessions.name],
        webhooks=tally.done[webhooks.name],
        sessions_dropped=tally.dropped,
        stuck=tuple(tally.stuck.values()),
        left=len(outdated - tally.stuck.keys()),
    )


def _outdated(table: Table, vault: Vault) -> ColumnElement[bool]:
    """Whether a row's envelope was not made by this vault with its current key.

    The envelope's own first bytes decide. The column beside them is not sealed.
    """
    beginning = func.substring(table.c.encrypted_data, 1, len(vault.header), type_=LargeBinary)
    return or_(table.c.key_id != vault.key_id, beginning != vault.header)


def _name_of(table: Table) -> ColumnElement[str]:
    """What an envelope of the table is bound to, beside the clinic: see ``Vault``."""
    return cast(webhooks.c.id, Text) if table is webhooks else table.c.provider_type


def _outdated_keys(connection: Connection, vault: Vault, table: Table) -> list[_Key]:
    key = (table.c.clinic_id, _name_of(table))
    rows = connection.execute(select(*key).where(_outdated(table, vault)).order_by(*key))
    return [_Key(*row) for row in rows]


def _batches(
    connection: Connection, vault: Vault, batch_rows: int
) -> Iterator[tuple[Table, Sequence[_Key]]]:
    for table in _TABLES:
        keys = _outdated_keys(connection, vault, table)
        for start in range(0, len(keys), batch_rows):
            yield table, keys[start : start + batch_rows]


def _drop_expired_sessions(connection: Connection, vault: Vault) -> int:
    expired = pims_sessions.c.expires_at <= func.clock_timestamp()
    return connection.execute(
        delete(pims_sessions).where(_outdated(pims_sessions, vault), expired)
    ).rowcount


def _rotate_batch(
    connection: Connection, vault: Vault, table: Table, keys: Sequence[_Key], run_id: str
) -> _Tally:
    tally = _Tally()
    renewed: list[_Renewed] = []
    gone: list[_Key] = []
    for row in _locked(connection, vault, table, keys):
        key = _Key(row.clinic_id, row.provider_type)
        try:
            envelope = vault.reencrypt(row.encrypted_data, table=table.name, **key._asdict())
        except Undecryptable as error:
            key_gone = isinstance(error, KeyGone)
            if key_gone and table is pims_sessions:
                gone.append(key)
                continue
            tally.stuck[table.name, key] = StuckRow(
                clinic_slug=row.slug,
                table=table.name,
                provider_type=row.provider_type,
                key_gone=key_gone,
            )
        else:
            renewed.append(_Renewed(*key, envelope.data.hex()))
    _write(connection, vault, table, renewed, run_id)
    _drop(connection, gone)
    tally.done[table.name], tally.dropped = len(renewed), len(gone)
    return tally


def _is_one_of(table: Table, keys: Sequence[_Key]) -> ColumnElement[bool]:
    return tuple_(table.c.clinic_id, _name_of(table)).in_(keys)


def _locked(
    connection: Connection, vault: Vault, table: Table, keys: Sequence[_Key]
) -> Sequence[Row[UUID, str, bytes, str]]:
    """The rows that are still outdated, locked.

    The statement waits for other writers of a row, and then checks the row that they wrote.
    """
    return connection.execute(
        select(
            table.c.clinic_id,
            _name_of(table).label("provider_type"),
            table.c.encrypted_data,
            clinics.c.slug,
        )
        .join(clinics, clinics.c.id == table.c.clinic_id)
        .where(_is_one_of(table, keys), _outdated(table, vault))
        # Always in the same order, so that two rotations never deadlock.
        .order_by(table.c.clinic_id, _name_of(table))
        .with_for_update(of=table)
    ).all()


_COLUMNS: Columns = {
    "clinic_id": ("uuid", attrgetter("clinic_id")),
    "provider_type": ("text", attrgetter("provider_type")),
    "envelope": ("text", attrgetter("envelope")),
}


def _write(
    connection: Connection, vault: Vault, table: Table, renewed: Sequence[_Renewed], run_id: str
) -> None:
    if not renewed:
        return
    name = "CAST(t.id AS text)" if table is webhooks else "t.provider_type"
    execute_batches(
        connection,
        f"UPDATE {table.name} AS t SET encrypted_data = decode(r.envelope, 'hex'), "  # noqa: S608 - one of our tables
        "key_id = :key_id FROM {rows} "
        f"WHERE t.clinic_id = r.clinic_id AND {name} = r.provider_type",
        _COLUMNS,
        renewed,
        {"key_id": vault.key_id},
    )
    accesses = [
        {
            "clinic_id": each.clinic_id,
            "provider_type": _LOGGED_AS if table is webhooks else each.provider_type,
            "purpose": _PURPOSE,
            "run_id": run_id,
        }
        for each in renewed
    ]
    connection.execute(insert(credential_access_log).values(accesses))


def _drop(connection: Connection, sessions: Sequence[_Key]) -> None:
    if sessions:
        connection.execute(delete(pims_sessions).where(_is_one_of(pims_sessions, sessions)))
