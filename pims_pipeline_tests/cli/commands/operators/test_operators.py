"""``pims operators``: adding, listing, changing and removing operators of the console."""

import pytest
from sqlalchemy import Engine, select

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.operators import operators
from pims_pipeline_tests.cli.invocation import Pims, document, error_line

PASSWORD = "correct horse battery"


def add(pims: Pims, name: str, *options: str) -> object:
    return document(
        pims("operators", "add", name, *options, "--password-stdin", "--json", typed=PASSWORD)
    )


def test_an_operator_is_added_listed_and_removed(
    pims: Pims, engine: Engine, clinic: Clinic
) -> None:
    added = add(pims, " Ann@Clinic.example", "--role=viewer", f"--clinic={clinic.slug}")
    listed = document(pims("operators", "list", "--json"))
    removed = document(pims("operators", "remove", "ann@clinic.example", "--json"))
    again = add(pims, "ann@clinic.example", "--role=admin")

    assert listed == {"operators": [added]}
    assert added["name"] == "ann@clinic.example"  # type: ignore[index]  # a JSON object
    assert added["roles"] == [{"role": "viewer", "clinic": clinic.slug}]  # type: ignore[index]
    assert (removed["isActive"], removed["hasPassword"], removed["roles"]) == (False, False, [])
    assert again["roles"] == [{"role": "admin", "clinic": None}]  # type: ignore[index]
    assert again["id"] == added["id"]  # type: ignore[index]
    with transaction(engine) as connection:
        [kept] = connection.scalars(select(operators.c.password_hash))
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_password_is_typed_twice(pims: Pims) -> None:
    done = pims("operators", "add", "ann", "--role=viewer", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0
    assert "Operator ann is added. Roles: viewer (all clinics)." in done.stdout
    assert PASSWORD not in done.output

    other = pims("operators", "password", "ann", typed=f"{PASSWORD}\nanother horse battery\n")
    assert other.exit_code == 2
    assert "the two passwords differ" in other.stderr


def test_roles_are_shown_set_and_taken_away(pims: Pims, clinic: Clinic) -> None:
    add(pims, "ben", "--role=viewer")

    both = pims("operators", "roles", "ben", "--set=operator", f"--clinic={clinic.slug}")
    one = pims("operators", "roles", "ben", "--remove")

    assert both.stdout == (f"ben. Roles: viewer (all clinics), operator ({clinic.slug}).\n")
    assert one.stdout == f"ben. Roles: operator ({clinic.slug}).\n"
    assert "operator (maple-street)" in pims("operators", "roles", "ben").stdout
    assert error_line(pims("operators", "roles", "ben", "--remove")) == (
        "Error: ben has no role for all clinics; `pims operators list` shows the roles"
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("add", "no name", "--role=viewer"), "an operator's name has 1 to 100 letters"),
        (("add", "eve", "--role=viewer", "--clinic=nowhere"), "unknown clinic 'nowhere'"),
        (("password", "eve"), "there is no operator eve; `pims operators list` shows them"),
        (("add", "ben", "--role=admin"), "there is an operator ben; `pims operators password ben`"),
        (("add", "eve", "--role=viewer", "--no-password"), "contradict each other"),
    ],
)
def test_what_cannot_be_is_one_line(pims: Pims, arguments: tuple[str, ...], problem: str) -> None:
    add(pims, "ben", "--role=viewer")

    line = error_line(pims("operators", *arguments, "--password-stdin", typed=PASSWORD))

    assert problem in line


def test_a_password_that_is_too_short_is_refused_and_not_repeated(pims: Pims) -> None:
    refused = pims("operators", "add", "ann", "--role=viewer", "--password-stdin", typed="secret12")

    assert error_line(refused) == ("Error: a password has 12 to 256 characters; choose another")
