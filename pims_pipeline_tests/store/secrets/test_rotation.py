"""Rotation brings every secret under the current key."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, Table, event, select, update

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.secrets.credentials import (
    mark_credentials,
)
from pims_pipeline.store.secrets.rotation import Rotation, StuckRow
from pims_pipeline.store.secrets.sessions import read_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.access import pims_credentials, pims_sessions
from pims_pipeline_tests.databases import with_options
from pims_pipeline_tests.store.secrets.rotations import (
    ALL,
    LOST_KEY,
    NEW,
    NEW_KEY,
    OLD,
    OLD_KEY,
    SLUGS,
    TABLES,
    assert_readable,
    rotate_secrets,
    rotations_logged,
    rows_under,
    store_secrets,
)

NOTHING = Rotation(credentials=0, sessions=0, webhooks=0, sessions_dropped=0, stuck=(), left=0)


def _copy_envelope(engine: Engine, table: Table, of: Clinic, to: Clinic) -> None:
    with transaction(engine) as connection:
        theirs = select(table.c.encrypted_data).where(table.c.clinic_id == of.id)
        connection.execute(
            update(table)
            .where(table.c.clinic_id == to.id)
            .values(encrypted_data=theirs.scalar_subquery())
        )


def test_everything_comes_under_the_current_key_and_the_retired_one_can_go(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    done = rotate_secrets(engine)

    assert done == Rotation(
        credentials=3, sessions=3, webhooks=0, sessions_dropped=0, stuck=(), left=0
    )
    assert done.is_complete
    assert rows_under(engine, NEW) == ALL
    assert_readable(engine, NEW, old_key_clinics)


def test_a_second_rotation_finds_nothing_to_do_and_decrypts_nothing(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    assert len(old_key_clinics) == 3
    rotate_secrets(engine)
    logged = rotations_logged(engine)

    assert rotate_secrets(engine) == NOTHING
    assert rotations_logged(engine) == logged


def test_without_any_secrets_there_is_nothing_to_do(engine: Engine) -> None:
    assert rotate_secrets(engine) == NOTHING


def test_each_decryption_is_logged(engine: Engine, old_key_clinics: list[Clinic]) -> None:
    assert [clinic.slug for clinic in old_key_clinics] == list(SLUGS)
    rotate_secrets(engine)
    entry = ("idexx_neo", "rotation", "pims credentials rotate")

    assert rotations_logged(engine) == [(slug, *entry) for slug in SLUGS for _ in TABLES]


def test_nothing_but_the_envelope_and_its_keys_name_changes(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    def rest() -> list[tuple[Any, ...]]:
        with transaction(engine) as connection:
            return [
                tuple(row)
                for table in TABLES
                for row in connection.execute(
                    select(
                        *(
                            column
                            for column in table.c
                            if column.name not in {"encrypted_data", "key_id"}
                        )
                    ).order_by(table.c.clinic_id)
                )
            ]

    with transaction(engine) as connection:
        mark_credentials(connection, old_key_clinics[0], CredentialStatus.NEEDS_HUMAN)
        read_session(connection, OLD, old_key_clinics[1], purpose="sync", run_id=None)
    before = rest()
    rotate_secrets(engine)

    assert rest() == before
    assert any("needs_human" in row for row in before)


def test_the_rights_of_the_services_role_are_enough(
    engine: Engine, old_key_clinics: list[Clinic], database_url: str
) -> None:
    service = create_engine(with_options(database_url, "-c role=pims_service"))
    store_secrets(engine, Vault(LOST_KEY), old_key_clinics[2])
    done = rotate_secrets(service)
    service.dispose()

    assert (done.credentials, done.sessions, done.sessions_dropped) == (2, 2, 1)


def test_rows_are_done_in_batches_and_progress_is_shown(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    assert len(old_key_clinics) == 3
    shown: list[tuple[int, int]] = []
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    done = rotate_secrets(engine, batch_rows=2, show_progress=lambda *done: shown.append(done))

    assert (done.credentials, done.sessions) == (3, 3)
    assert shown == [(2, 6), (3, 6), (5, 6), (6, 6)]
    # One to list what is to be done, one to see that nothing is left.
    assert len(commits) == len(shown) + 2


def test_what_is_under_the_current_key_already_stays_byte_for_byte(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    store_secrets(engine, NEW, old_key_clinics[1])

    def envelopes() -> list[bytes]:
        with transaction(engine) as connection:
            return [
                data
                for table in TABLES
                for data in connection.scalars(
                    select(table.c.encrypted_data).where(table.c.clinic_id == old_key_clinics[1].id)
                )
            ]

    before = envelopes()

    assert (rotate_secrets(engine).credentials, envelopes()) == (2, before)
    assert SLUGS[1] not in {slug for slug, *_ in rotations_logged(engine)}


@pytest.mark.parametrize("written", ["old", "new"])
def test_a_wrong_word_in_the_column_of_key_ids_changes_nothing(
    engine: Engine, old_key_clinics: list[Clinic], written: str
) -> None:
    store_secrets(engine, NEW, old_key_clinics[0])
    with transaction(engine) as connection:
        for table in TABLES:
            wrong = OLD.key_id if written == "old" else NEW.key_id
            connection.execute(update(table).values(key_id=wrong))
    done = rotate_secrets(engine)

    assert done.is_complete
    assert rows_under(engine, NEW) == ALL
    assert_readable(engine, NEW, old_key_clinics)


def test_rows_of_several_retired_keys_come_together(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    store_secrets(engine, Vault(LOST_KEY), old_key_clinics[2])
    rotate_secrets(engine, Vault(NEW_KEY, [OLD_KEY, LOST_KEY]))

    assert_readable(engine, NEW, old_key_clinics)


def test_expired_sessions_under_other_keys_are_dropped_unread(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    with transaction(engine) as connection:
        connection.execute(update(pims_sessions).values(expires_at=datetime.now(UTC)))
    done = rotate_secrets(engine)

    assert (done.sessions, done.sessions_dropped, done.is_complete) == (0, 3, True)
    assert rows_under(engine, NEW) == {
        (pims_credentials.name, clinic.slug) for clinic in old_key_clinics
    }
    assert len(rotations_logged(engine)) == 3


def test_a_login_whose_key_is_gone_is_reported_and_its_session_dropped(
    engine: Engine, old_key_clinics: list[Clinic]
) -> None:
    store_secrets(engine, Vault(LOST_KEY), old_key_clinics[1])
    done = rotate_secrets(engine, batch_rows=1)

    assert (done.credentials, done.sessions, done.sessions_dropped) == (2, 2, 1)
    [stuck] = done.stuck
    assert stuck == StuckRow(
        clinic_slug=SLUGS[1],
        table=pims_credentials.name,
        provider_type="idexx_neo",
        key_gone=True,
    )
    assert not done.is_complete
    assert rows_under(engine, NEW) == {entry for entry in ALL if entry[1] != SLUGS[1]}
    # With its key, the row is rotated.
    assert rotate_secrets(engine, Vault(NEW_KEY, [LOST_KEY])) == Rotation(
        credentials=1, sessions=0, webhooks=0, sessions_dropped=0, stuck=(), left=0
    )


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_a_damaged_row_stays_and_is_reported_and_the_others_are_rotated(
    engine: Engine, old_key_clinics: list[Clinic], table: Table
) -> None:
    _copy_envelope(engine, table, of=old_key_clinics[2], to=old_key_clinics[0])
    for _ in range(2):
        done = rotate_secrets(engine, batch_rows=2)
        assert done.stuck == (
            StuckRow(
                clinic_slug=SLUGS[0],
                table=table.name,
                provider_type="idexx_neo",
                key_gone=False,
            ),
        )
        assert done.left == 0
    assert rows_under(engine, NEW) == ALL - {(table.name, SLUGS[0])}


@pytest.mark.parametrize(
    "damage", [b"", b"\x01", b"\x02" + bytes(60), b"hunter2"], ids=["empty", "cut", "v2", "text"]
)
def test_what_is_no_envelope_is_reported_and_kept(
    engine: Engine, old_key_clinics: list[Clinic], damage: bytes
) -> None:
    with transaction(engine) as connection:
        connection.execute(
            update(pims_sessions)
            .where(pims_sessions.c.clinic_id == old_key_clinics[1].id)
            .values(encrypted_data=damage)
        )
    done = rotate_secrets(engine)

    assert [(each.clinic_slug, each.table) for each in done.stuck] == [
        (SLUGS[1], pims_sessions.name)
    ]
    assert rows_under(engine, NEW) == ALL - {(pims_sessions.name, SLUGS[1])}
