"""``pims providers check``: the conformance suite over an installed provider, as a table."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import click

from pims_pipeline.cli.runtime import Command
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.options import examples, json_option
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.conformance.check import check_provider
from pims_pipeline.conformance.results import PromiseVerdict, SuiteResult
from pims_pipeline.providers.registry import registry


@click.command(
    cls=Command,
    epilog=examples("pims providers check idexx_neo", "pims providers check paw_planner --json"),
)
@click.argument("name", metavar="NAME")
@json_option('`{"provider": …, "conforms": …, "passed": …, "failed": …, "promises": […]}`')
def check(*, name: str, as_json: bool) -> None:
    """Run the conformance suite over a provider, and show which promises it keeps.

    The vendor is played on this machine: no clinic, no database and no real vendor has a part in
    it. Exit status 1 if a promise is not kept.
    """
    result = check_provider(registry().description(name))
    if as_json:
        print_json(_document(name, result))
    else:
        _print(result)
    if not result.conforms:
        failed = result.count(PromiseVerdict.FAILED)
        raise Refused(f"{name} does not keep {failed} of {len(result.promises)} promises")


def _document(name: str, result: SuiteResult) -> dict[str, Any]:
    return {
        "provider": name,
        "conforms": result.conforms,
        "passed": result.count(PromiseVerdict.PASSED),
        "failed": result.count(PromiseVerdict.FAILED),
        "notApplicable": result.count(PromiseVerdict.NOT_APPLICABLE),
        "promises": [
            {
                "promise": each.promise,
                "case": each.case or None,
                "result": each.verdict.value,
                "why": each.why or None,
            }
            for each in result.promises
        ],
    }


def _print(result: SuiteResult) -> None:
    print_table(["Promise", "Result", "Why"], _rows(result), empty="The suite has no promises.")
    say(", ".join(f"{result.count(each)} {each}" for each in PromiseVerdict))


def _rows(result: SuiteResult) -> Iterator[Sequence[str]]:
    """A row for each promise; one for each of its cases if their results differ."""
    for promise, group in groupby(result.promises, key=lambda each: each.promise):
        cases = list(group)
        if len({(each.verdict, each.why) for each in cases}) == 1:
            number = f" ({len(cases)} cases)" if len(cases) > 1 else ""
            yield f"{promise}{number}", cases[0].verdict, cases[0].why
        else:
            for each in cases:
                yield f"{promise} ({each.case})", each.verdict, each.why
