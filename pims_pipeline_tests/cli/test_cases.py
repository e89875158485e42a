"""``pims cases`` and ``pims status`` over what is stored; their stories come from syncs."""

from uuid import uuid4

import pytest

from pims_pipeline_tests.cli.conftest import Pims, complaint, document


def test_a_clinic_without_cases_says_so(pims: Pims, registered: str) -> None:
    done = pims("cases", "list", "--clinic", registered, "--date=2026-03-29")

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"No cases of {registered} are stored for 2026-03-29.\n"
    listed = document(pims("cases", "list", "--clinic", registered, "--json"))
    assert listed == {"clinic": registered, "cases": []}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list", "--clinic=elsewhere"], "unknown clinic 'elsewhere'"),
        (["list", "--clinic=riverbend", "--date=29.03.2026"], "'29.03.2026' is not a date"),
        (["list", "--clinic=riverbend", "--limit=0"], "--limit"),
        (["show", "7"], "'7' is not a valid UUID"),
        (["show", str(uuid4())], "no case has the id"),
    ],
    ids=["clinic", "date", "limit", "no id", "unknown id"],
)
def test_what_cannot_be_found_is_told(
    pims: Pims, registered: str, words: list[str], told: str
) -> None:
    assert registered == "riverbend"
    done = pims("cases", *words)

    assert done.exit_code == 2
    assert told in complaint(done)


def test_a_clinic_that_was_never_synced_says_so(pims: Pims, registered: str) -> None:
    status = document(pims("status", "--json"))
    never = {"lastSuccessAt": None, "ageSeconds": None, "latest": None}

    assert status["clinics"] == [
        {
            "slug": registered,
            "name": "Riverbend Animal Hospital",
            "timezone": "America/New_York",
            "isActive": True,
            "phases": {"inbound": never, "cases": never, "reconciliation": never},
            "credentials": None,
            "session": {"status": "none", "expiresAt": None, "lastUsedAt": None},
            "openHolds": 0,
            "deadLetters": 0,
        }
    ]
    assert "never" in pims("status").stdout
