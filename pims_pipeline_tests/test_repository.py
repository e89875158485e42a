"""Checks of the written rules about this repository's files."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pims_pipeline"
LOCK = ROOT / "requirements.lock"


def our_files() -> Iterator[Path]:
    """The files that Git tracks; what else lies in the folder is not for others to read."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - the developer's own Git
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    for each in sorted(filter(None, listed.stdout.split("\0"))):
        path = ROOT / each
        # A file may be deleted and still tracked.
        if path.is_file():
            yield path


FILES = tuple(our_files())
MODULES = tuple(path for path in FILES if path.suffix == ".py")


def modules(directory: Path) -> tuple[Path, ...]:
    """The Python files below a directory."""
    return tuple(path for path in MODULES if path.is_relative_to(directory))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def found(pattern: str, files: Sequence[Path]) -> list[str]:
    """Where ``pattern`` occurs, as ``file:line``; binary files are skipped."""
    places = []
    for path in files:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        places += [
            f"{name(path)}:{number}"
            for number, line in enumerate(lines, start=1)
            if re.search(pattern, line)
        ]
    return places


def imports(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each module that ``path`` imports, with the names taken from it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module, tuple(alias.name for alias in node.names)


def test_no_file_names_a_path_of_a_developer_s_machine() -> None:
    assert found(r"(?<![\w.*-])/(?:work|root|home|tmp|Users)/", FILES) == []


def test_no_file_says_where_packages_come_from() -> None:
    assert found(r"(?<!no-emit-)index[-]url|find[-]links|trusted[-]host", FILES) == []
    assert found(r"\w+://|@ ", [LOCK]) == []


def test_no_comment_postpones_work() -> None:
    assert found(r"\b(?:TO[D]O|FIX[M]E)\b", MODULES) == []


@pytest.mark.parametrize("directory", ["pims_pipeline", "pims_pipeline_tests"])
def test_importing_a_package_builds_nothing(directory: str) -> None:
    more_than_a_docstring = [
        name(path)
        for path in modules(ROOT / directory)
        if path.name == "__init__.py"
        and (len(tree(path).body) != 1 or ast.get_docstring(tree(path)) is None)
    ]

    # `defs.yaml` files name the component `pims_pipeline.PimsSync`, loaded when it is asked for.
    assert set(more_than_a_docstring) <= {"pims_pipeline/__init__.py"}
    root = tree(PACKAGE / "__init__.py").body[1:]
    assert [each.name for each in root if isinstance(each, ast.FunctionDef)] == [
        "__getattr__",
        "__dir__",
    ]
    assert len(root) == 2


def test_every_module_says_what_lives_there() -> None:
    assert [name(path) for path in MODULES if not ast.get_docstring(tree(path))] == []


def test_annotations_that_dagster_reads_are_not_turned_into_text() -> None:
    files = [PACKAGE / "definitions.py", *modules(PACKAGE / "orchestration")]
    turned = [
        name(path)
        for path in files
        if path.exists() and any(module == "__future__" for module, _ in imports(path))
    ]

    assert turned == []


def test_the_domain_needs_the_standard_library_alone() -> None:
    foreign = {
        (name(path), module)
        for path in modules(PACKAGE / "domain")
        for module, _ in imports(path)
        if not module.startswith("pims_pipeline.domain")
        and module.partition(".")[0] not in sys.stdlib_module_names
    }

    assert foreign == set()


def test_outside_the_store_only_two_types_of_sqlalchemy_are_named() -> None:
    # Dagster's own storage is written in SQLAlchemy; what replaces parts of it is, too.
    stores = (PACKAGE / "store", PACKAGE / "orchestration" / "storage")
    more = {
        (name(path), module, names)
        for path in modules(PACKAGE)
        if not any(path.is_relative_to(store) for store in stores)
        for module, names in imports(path)
        if module.partition(".")[0] == "sqlalchemy"
        if module != "sqlalchemy" or not names or not set(names) <= {"Connection", "Engine"}
    }

    assert more == set()


PRIVATE = PACKAGE / "orchestration" / "_dagster_private.py"
"""The module that names what Dagster keeps private."""
_PRIVATE_NAME = re.compile(
    r"dagster\w*(?:\.\w+)*\._\w+|dagster_(?:graphql|postgres|webserver)\.\w+"
)


def private_to_dagster(path: Path) -> set[str]:
    """The modules private to Dagster and its companions that a module imports or names."""
    named = {
        node.value
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {each for each in {*named, *dict(imports(path))} if _PRIVATE_NAME.match(each)}


def test_what_dagster_keeps_private_is_named_in_one_module() -> None:
    elsewhere = {name(path) for path in modules(PACKAGE) if private_to_dagster(path)}

    assert elsewhere == {name(PRIVATE)}


def test_what_dagster_keeps_private_is_listed_with_what_replaces_it() -> None:
    table = (ROOT / "docs" / "dagster_private.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(dagster[\w.]+)` \|", table, re.MULTILINE))

    assert listed == private_to_dagster(PRIVATE)


@pytest.mark.parametrize(
    "line",
    [
        "from dagster._core.execution.api import execute_run",
        "import dagster._utils as private",
        "from dagster_webserver.app import create_app_from_workspace_process_context",
        "from dagster_postgres.run_log import PostgresRunStorage",
        "from dagster._serdes import ConfigurableClassData",
        'daemon = ["-m", "dagster._daemon"]',
    ],
)
def test_a_private_name_of_dagster_s_is_found(tmp_path: Path, line: str) -> None:
    module = tmp_path / "module.py"
    module.write_text(line)
    assert private_to_dagster(module)

    module.write_text("import dagster as dg\nfrom dagster_postgres import DagsterPostgresStorage")
    assert not private_to_dagster(module)


def test_what_a_deactivated_clinic_is_used_for_is_decided_in_one_place() -> None:
    decide = {"domain/deactivation.py", "store/clinics.py"}
    hand_on = {"store/schedules.py", "store/api_keys.py", "api/access/auth.py"}
    show = {
        "cli/commands/clinics/command.py",
        "cli/commands/status.py",
        "operations/console/overview.py",
        "wire/clinics.py",
        "wire/statuses.py",
    }
    released = PACKAGE / "store" / "migrations"
    files = [path for path in modules(PACKAGE) if not path.is_relative_to(released)]
    places = found(r"\b(?:c|clinic|clinics\.c)[._]is_active\b|\bclinic_is_active\b", files)

    asking = {place.removeprefix("pims_pipeline/").partition(":")[0] for place in places}
    assert asking == decide | hand_on | show


def test_commands_open_no_transaction_themselves() -> None:
    openers = {"transaction", "in_transaction", "begun_transaction", "clinic_transaction"}
    opening = [
        (name(path), module)
        for path in modules(PACKAGE / "cli")
        for module, names in imports(path)
        if openers.intersection(names)
    ]

    assert opening == [], "call a function of operations instead, or add one there"


def test_no_two_classes_share_a_name() -> None:
    """The simulator has names of its own: it shares no code with the rest."""
    files = [each for each in modules(PACKAGE) if "simulator" not in each.parts]
    # A model of ``wire`` is the JSON of the thing that it is named after.
    files = [each for each in files if "wire" not in each.parts]
    places = defaultdict(list)
    for path in files:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name(path))

    assert {each: found_in for each, found_in in places.items() if len(found_in) > 1} == {}


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    """Migrations and templates are loaded from disk, so no import fails without them."""
    subprocess.run(  # noqa: S603 - this interpreter, fixed arguments
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")

    with zipfile.ZipFile(wheel) as archive:
        packaged = set(archive.namelist())
    ours = {name(path) for path in FILES if path.is_relative_to(PACKAGE)}
    assert ours - packaged == set()


def locked_versions() -> dict[str, set[str]]:
    """The versions that requirements.lock pins, by canonical package name."""
    pins: dict[str, set[str]] = {}
    pattern = r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^ ;\\]+)"
    for package, version in re.findall(pattern, LOCK.read_text(encoding="utf-8"), re.MULTILINE):
        pins.setdefault(canonicalize_name(package), set()).add(version)
    return pins


def declared() -> list[Requirement]:
    """The requirements of pyproject.toml, to run and to develop."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    wanted = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *(line for extra in extras for line in extra),
    ]
    return [Requirement(line) for line in wanted]


def test_the_lock_satisfies_the_project_s_requirements() -> None:
    pins = locked_versions()
    unmet = [
        str(requirement)
        for requirement in declared()
        if not any(
            requirement.specifier.contains(version, prereleases=True)
            for version in pins.get(canonicalize_name(requirement.name), ())
        )
    ]

    assert unmet == [], "run make lock"


def test_every_locked_package_carries_its_hashes() -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", LOCK.read_text(encoding="utf-8"))
    pins = [entry for entry in entries if re.match(r"[\w.\[\]-]+==", entry)]

    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []
