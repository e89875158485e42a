"""``pims keys``: a key is shown only once; a revoked one stays revoked."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, func, select, update

from pims_pipeline.domain.api_keys import PERMISSIONS, hash_of, new_key, prefix_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.access import clinic_api_keys
from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything

SLUG = "riverbend"


def register(pims: Pims, slug: str = SLUG) -> str:
    """Register a clinic that is never synced; returns its slug."""
    done = pims(
        "clinics",
        "add",
        slug,
        "--name=Animal Hospital",
        "--timezone=America/New_York",
        "--provider=idexx_neo",
        "--base-url=https://clinic.example",
    )
    assert done.exit_code == 0, done.output
    return slug


@pytest.fixture
def clinic(pims: Pims) -> str:
    """The slug of a registered clinic."""
    return register(pims)


def stored_hashes(engine: Engine) -> dict[str, str]:
    with transaction(engine) as connection:
        keys = clinic_api_keys.c
        return {
            row.key_prefix: row.key_hash
            for row in connection.execute(select(keys.key_prefix, keys.key_hash))
        }


def test_a_key_is_shown_alone_on_standard_output_and_only_its_hash_is_kept(
    pims: Pims, clinic: str, engine: Engine
) -> None:
    done = pims("keys", "create", clinic, "--name= Front desk ")
    key = done.stdout.removesuffix("\n")
    prefix = prefix_of(key)

    assert prefix is not None
    assert stored_hashes(engine) == {prefix: hash_of(key)}
    assert prefix in done.stderr
    assert "permissions *" in done.stderr
    assert "never expires" in done.stderr
    secret = key[8:]
    assert secret not in done.stderr
    assert secret not in repr(everything(engine))
    [listed] = document(pims("keys", "list", "--json"))["keys"]
    assert listed["name"] == "Front desk"


def test_json_has_the_key_and_its_permissions(pims: Pims, clinic: str) -> None:
    made = document(
        pims("keys", "create", clinic, "--permissions= read, sync:cases,read", "--json")
    )
    [listed] = document(pims("keys", "list", "--json"))["keys"]
    key = made.pop("key")

    assert made == listed
    assert {name: made[name] for name in made if name not in {"id", "createdAt"}} == {
        "prefix": prefix_of(key),
        "clinic": clinic,
        "name": "unnamed",
        "permissions": ["read", "sync:cases"],
        "state": "active",
        "expiresAt": None,
        "lastUsedAt": None,
        "waitSeconds": None,
    }


@pytest.mark.parametrize("wanted", [*PERMISSIONS, "sync:*", "*"])
def test_every_permission_can_be_given(pims: Pims, clinic: str, wanted: str) -> None:
    made = document(pims("keys", "create", clinic, "--permissions", wanted, "--json"))

    assert made["permissions"] == [wanted]


def test_without_permissions_a_key_may_do_everything(
    pims: Pims, clinic: str, engine: Engine
) -> None:
    made = document(pims("keys", "create", clinic, "--json"))

    assert made["permissions"] == ["*"]
    with transaction(engine) as connection:
        assert connection.scalars(select(clinic_api_keys.c.permissions)).all() == [None]


@pytest.mark.parametrize(
    ("given", "lasts"),
    [
        ("12h", timedelta(hours=12)),
        ("90d", timedelta(days=90)),
        ("4w", timedelta(weeks=4)),
        ("5000w", timedelta(weeks=5000)),
    ],
)
def test_a_key_can_last_for_a_while(pims: Pims, clinic: str, given: str, lasts: timedelta) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    made = document(pims("keys", "create", clinic, "--expires", given, "--json"))

    expires_at = datetime.fromisoformat(made["expiresAt"])
    assert before + lasts <= expires_at <= datetime.now(UTC) + lasts


def test_a_key_can_last_until_a_date_begins_at_the_clinic(pims: Pims, clinic: str) -> None:
    zone = ZoneInfo("America/New_York")
    day = datetime.now(zone).date() + timedelta(days=2)
    made = document(pims("keys", "create", clinic, f"--expires={day}", "--json"))
    shown = datetime.fromisoformat(made["expiresAt"]).astimezone(zone)

    assert (shown.date(), shown.hour, shown.minute) == (day, 0, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["elsewhere"], "unknown clinic 'elsewhere'"),
        ([SLUG, "--permissions="], "--permissions is empty"),
        ([SLUG, "--permissions=,"], "--permissions is empty"),
        ([SLUG, "--permissions=read,write"], "unknown permission 'write'"),
        ([SLUG, "--permissions=READ"], "unknown permission 'READ'"),
        ([SLUG, "--name= "], "--name is empty"),
        ([SLUG, "--name=two\nlines"], "--name holds a control character or a line break"),
        ([SLUG, f"--name={'x' * 101}"], "--name is longer than 100 characters"),
        ([SLUG, "--wait=0"], "0 is not in the range 1<=x<=120"),
        ([SLUG, "--wait=121"], "121 is not in the range 1<=x<=120"),
        ([SLUG, "--expires=0d"], "is not in the future"),
        ([SLUG, "--expires=2020-01-01"], "is not in the future"),
        ([SLUG, "--expires=9999-12-31"], "too far ahead"),
        ([SLUG, "--expires=9999w"], "too far ahead"),
        ([SLUG, "--expires=tomorrow"], "neither a date such as"),
        ([SLUG, "--expires=-3d"], "neither a date such as"),
        ([SLUG, "--expires=1y"], "neither a date such as"),
        ([SLUG, "--expires=99999d"], "neither a date such as"),
        ([SLUG, "--expires=2026-02-30"], "neither a date such as"),
        ([SLUG, "--expires=٣d"], "neither a date such as"),
    ],
    ids=str,
)
def test_a_key_with_invalid_options_is_not_created(
    pims: Pims, clinic: str, engine: Engine, words: list[str], message: str
) -> None:
    assert clinic == SLUG
    before = everything(engine)
    done = pims("keys", "create", *words)

    assert done.exit_code == 2
    assert message in error_line(done)
    assert everything(engine) == before


def test_a_key_cannot_expire_today(pims: Pims, clinic: str) -> None:
    today = datetime.now(ZoneInfo("America/New_York")).date()
    done = pims("keys", "create", clinic, f"--expires={today}")

    assert done.exit_code == 2
    assert "is not in the future" in error_line(done)


def test_a_deactivated_clinic_gets_no_key(pims: Pims, clinic: str, engine: Engine) -> None:
    assert pims("clinics", "deactivate", clinic).exit_code == 0
    done = pims("keys", "create", clinic)

    assert done.exit_code == 1
    assert "was deactivated" in error_line(done)
    assert stored_hashes(engine) == {}


def test_the_list_shows_the_state_of_each_key_and_no_secret(
    pims: Pims, clinic: str, engine: Engine
) -> None:
    names = ("active", "expired", "revoked")
    made = {
        name: pims("keys", "create", clinic, f"--name={name}", "--expires=1d").stdout.strip()
        for name in names
    }
    with transaction(engine) as connection:
        connection.execute(
            update(clinic_api_keys)
            .where(clinic_api_keys.c.name == "expired")
            .values(expires_at=func.now(), last_used_at=func.now())
        )
    assert pims("keys", "revoke", made["revoked"][:8]).exit_code == 0
    table, listed = pims("keys", "list"), pims("keys", "list", "--json")

    assert {each["name"]: each["state"] for each in document(listed)["keys"]} == {
        name: name for name in names
    }
    assert {line.split()[0]: line.split()[4] for line in table.stdout.splitlines()[1:]} == {
        key[:8]: name for name, key in made.items()
    }
    assert "just now" in table.stdout
    shown = table.output + listed.output
    assert [name for name, key in made.items() if key[9:] in shown or hash_of(key) in shown] == []


def test_the_list_can_be_of_one_clinic(pims: Pims, clinic: str) -> None:
    other = register(pims, "oakdale")
    for slug in (clinic, other):
        assert pims("keys", "create", slug).exit_code == 0

    all_keys = document(pims("keys", "list", "--json"))["keys"]
    ours = document(pims("keys", "list", "--clinic", clinic, "--json"))["keys"]
    assert [each["clinic"] for each in all_keys] == [other, clinic]
    assert ours == all_keys[1:]
    assert pims("keys", "list", "--clinic", "elsewhere").exit_code == 2


def test_without_keys_the_list_says_so(pims: Pims) -> None:
    done = pims("keys", "list")

    assert (done.exit_code, done.stdout) == (0, "")
    assert "pims keys create" in done.stderr


def test_a_revoked_key_stays_revoked_and_the_others_stay(pims: Pims, clinic: str) -> None:
    kept, gone = (document(pims("keys", "create", clinic, "--json"))["prefix"] for _ in range(2))
    first = pims("keys", "revoke", gone)
    second = document(pims("keys", "revoke", gone, "--json"))

    assert first.stdout == f"Key {gone} of {clinic} is revoked.\n"
    listed = document(pims("keys", "list", "--json"))["keys"]
    assert [(each["prefix"], each["state"]) for each in listed] == [
        (kept, "active"),
        (gone, "revoked"),
    ]
    assert second == listed[1]


def test_a_whole_key_is_revoked_and_not_shown(pims: Pims, clinic: str) -> None:
    key = pims("keys", "create", clinic).stdout.strip()
    done = pims("keys", "revoke", key)

    assert done.exit_code == 0, done.output
    assert key[8:] not in done.output
    [listed] = document(pims("keys", "list", "--json"))["keys"]
    assert listed["state"] == "revoked"


@pytest.mark.parametrize("where", ["prefix", "key"])
def test_an_unknown_key_is_reported(pims: Pims, clinic: str, engine: Engine, where: str) -> None:
    assert pims("keys", "create", clinic).exit_code == 0
    before = everything(engine)
    unknown = new_key()
    done = pims("keys", "revoke", unknown[:8] if where == "prefix" else unknown)

    assert done.exit_code == 2
    assert f"unknown API key '{unknown[:8]}'" in error_line(done)
    assert unknown[8:] not in done.output
    assert everything(engine) == before


def test_a_possible_part_of_a_key_is_refused_and_not_shown(
    pims: Pims, clinic: str, engine: Engine
) -> None:
    key = pims("keys", "create", clinic).stdout.strip()
    before = everything(engine)
    for typed in (key[:-1], f"{key}x", key[:9], key[9:], key[:7], key.swapcase(), f" {key}", "%"):
        done = pims("keys", "revoke", typed)
        assert done.exit_code == 2
        assert "that is not a key's prefix" in error_line(done)
        assert typed not in done.output
    assert everything(engine) == before
