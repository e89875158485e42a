"""How large files, folders and functions may be: small enough to find a place by its name."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from pims_pipeline_tests.test_repository import MODULES, name, tree

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
MOST_FILES = 15
LARGEST_MEDIAN = 120


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a module with its length in lines, decorators aside."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{name(path)}: {node.name}", node.end_lineno - node.lineno + 1


def test_no_file_is_longer_than_a_reader_keeps_in_mind() -> None:
    assert [(name(each), lines(each)) for each in MODULES if lines(each) > LONGEST_FILE] == []


def test_half_of_the_files_are_short() -> None:
    assert median(lines(each) for each in MODULES) <= LARGEST_MEDIAN


def test_no_folder_holds_more_modules_than_one_looks_through() -> None:
    # Migrations are only ever added, and found by their numbers.
    held = Counter(each.parent for each in MODULES if each.parent.name != "versions")

    assert {name(each): count for each, count in held.items() if count > MOST_FILES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = [each for path in MODULES for each in functions(path) if each[1] > LONGEST_FUNCTION]

    assert long == []
