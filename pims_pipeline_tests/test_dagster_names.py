"""The names that rooms share with Dagster: correct, parsed as built, and spelled in one module."""

import ast
import re
from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.definitions.partitions.utils.multi import MULTIPARTITION_KEY_DELIMITER
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.storage import dagster_run, tags
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline import dagster_names as names
from pims_pipeline.domain.clinics import SLUG_PATTERN, DateRange
from pims_pipeline.domain.phases import JOB_OF
from pims_pipeline.orchestration.partitions import CLINICS, clinic_days
from pims_pipeline.orchestration.sensors.alerts import alerting
from pims_pipeline_tests.test_repository import PACKAGE, modules

SLUGS = st.from_regex(SLUG_PATTERN, fullmatch=True)
DAYS = st.dates()

FROM_DAGSTER = {
    names.ASSET_JOB: IMPLICIT_ASSET_JOB_NAME,
    names.KEY_SEPARATOR: MULTIPARTITION_KEY_DELIMITER,
    names.MAX_RETRIES_TAG: tags.MAX_RETRIES_TAG,
    names.MAX_RUNTIME_TAG: tags.MAX_RUNTIME_SECONDS_TAG,
    names.PARTITION_TAG: tags.PARTITION_NAME_TAG,
    names.PRIORITY_TAG: tags.PRIORITY_TAG,
    names.RANGE_END_TAG: tags.ASSET_PARTITION_RANGE_END_TAG,
    names.RANGE_START_TAG: tags.ASSET_PARTITION_RANGE_START_TAG,
    names.REPOSITORY: SINGLETON_REPOSITORY_NAME,
}


def test_names_that_dagster_defines_are_dagster_s() -> None:
    assert [ours for ours, theirs in FROM_DAGSTER.items() if ours != theirs] == []


def test_the_orchestration_uses_the_shared_names() -> None:
    assert CLINICS.name == names.CLINIC_PARTITIONS
    assert alerting.name == names.ALERTS_SENSOR
    dimensions = [each.name for each in clinic_days(date(2026, 1, 1)).partitions_defs]
    assert dimensions == [names.CLINIC_DIMENSION, names.DATE_DIMENSION]


def test_a_run_that_has_not_ended_waits_or_is_active() -> None:
    unfinished = {status.name for status in dagster_run.NOT_FINISHED_STATUSES}
    active = {status.name for status in dagster_run.ACTIVE_RUN_STATUSES}

    assert set(names.ACTIVE_STATUSES) == active
    # No run of ours asks to be suspended.
    assert set(names.WAITING_STATUSES) == unfinished - active - {"SUSPENDED"}


@given(SLUGS, DAYS)
def test_a_partition_key_is_read_as_it_was_built(slug: str, day: date) -> None:
    key = names.partition_key(slug, day)

    assert names.parse_partition_key(key) == (slug, day)
    assert names.clinic_of_key(key) == slug


@given(SLUGS, DAYS)
def test_a_partition_key_is_the_one_that_dagster_builds(slug: str, day: date) -> None:
    parts = {names.CLINIC_DIMENSION: slug, names.DATE_DIMENSION: day.isoformat()}

    assert names.partition_key(slug, day) == dg.MultiPartitionKey(parts)


def test_a_partition_key_reads_as_documented() -> None:
    assert names.partition_key("oak", date(2026, 3, 5)) == "oak|2026-03-05"


@pytest.mark.parametrize("key", ["", "oak", "2026-03-05", "oak|", "oak|yesterday", "oak|2026-3-5"])
def test_what_is_no_partition_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"partition key|isoformat"):
        names.parse_partition_key(key)


def test_the_key_of_a_daily_report_has_no_clinic() -> None:
    assert names.clinic_of_key("2026-03-05") == ""


def test_a_box_is_selected_by_its_first_and_last_partition() -> None:
    window = DateRange(date(2026, 3, 5), date(2026, 3, 11))

    assert names.range_tags(("alder", "oak"), window) == {
        "dagster/asset_partition_range_start": "alder|2026-03-05",
        "dagster/asset_partition_range_end": "oak|2026-03-11",
    }


_JOBS = "|".join(JOB_OF.values())
SPELLINGS = {
    "a partition key": r"(?:^|\s)\{\}\|\{\}(?:\s|$)",
    "the separator of a partition key": r"^\|$|'\|'",
    "a tag of ours": r"^pims/",
    "a tag of Dagster's": r"^dagster/",
    "Dagster's repository": f"^{names.REPOSITORY}$",
    "Dagster's job of assets": f"^{names.ASSET_JOB}$",
    "the definitions' module": f"^{re.escape(names.DEFINITIONS_MODULE)}$",
    "a job": f"^(?:{_JOBS})$",
    "a check of freshness": "_fresh$",
}
"""Patterns of names that one module spells; ``{}`` replaces the fields of an f-string."""
ALLOWED = {
    "dagster_names.py": set(SPELLINGS),
    # The table of phases.
    "domain/phases.py": {"a job"},
    # Dagster's names of metadata.
    "orchestration/assets/catalog.py": {"a tag of Dagster's"},
    # The cursor of a page of syncs: a time and an id.
    "api/request_options.py": {"a partition key", "the separator of a partition key"},
    # Alternatives of an option.
    "cli/commands/clinics/words.py": {"the separator of a partition key"},
    # Alternatives of regular expressions.
    "domain/records/words.py": {"the separator of a partition key"},
    "providers/parsing/markup.py": {"the separator of a partition key"},
}
"""By module, what may be spelled there: its own names, and texts that only look alike."""


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The strings of the code by line, without docstrings."""
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            parts = (
                str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values
            )
            yield node.lineno, "".join(parts)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield node.lineno, node.value


def spelled(source: str) -> set[str]:
    """Which of the ``SPELLINGS`` a module contains."""
    found = [text for _, text in texts(ast.parse(source))]
    return {
        what
        for what, pattern in SPELLINGS.items()
        if any(re.search(pattern, text) for text in found)
    }


def test_no_other_module_spells_these_names() -> None:
    elsewhere = {}
    for path in modules(PACKAGE):
        module = path.relative_to(PACKAGE).as_posix()
        if module.startswith(("simulator/", "store/migrations/")):
            # The simulator shares no code with us, and released migrations do not change.
            continue
        if more := spelled(path.read_text(encoding="utf-8")) - ALLOWED.get(module, set()):
            elsewhere[module] = sorted(more)

    assert elsewhere == {}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('key = f"{slug}|{day}"', "a partition key"),
        ('key = f"{clinic.slug}|{day.isoformat()} {case}"', "a partition key"),
        ('slug = key.split("|")[0]', "the separator of a partition key"),
        ("""sql = "split_part(key, '|', 2)" """, "the separator of a partition key"),
        ('tags["pims/origin"]', "a tag of ours"),
        ('tags[f"pims/clinic.{slug}"]', "a tag of ours"),
        ('tags = {"dagster/priority": "1"}', "a tag of Dagster's"),
        ('selector = {"repositoryName": "__repository__"}', "Dagster's repository"),
        ('run.job_name == "__ASSET_JOB"', "Dagster's job of assets"),
        ('argv = ["-m", "pims_pipeline.definitions"]', "the definitions' module"),
        ('launch("full_sync")', "a job"),
        ('check = f"{asset}_fresh"', "a check of freshness"),
    ],
)
def test_a_copy_of_a_name_is_found(line: str, what: str) -> None:
    assert spelled(line) == {what}


def test_a_docstring_is_no_copy() -> None:
    assert spelled('"""Found by ``pims/clinic.oak=yes``, or by ``f\'{slug}|{day}\'``."""') == set()
