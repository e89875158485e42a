"""Links from checks to the console: to what a finding is about. Slugs, ids and dates alone."""

from collections.abc import Iterable, Sequence

import dagster as dg

from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.orchestration.checks.findings import CheckInput, Finding

MAX_LINKED = 20
"""How many findings of a check, and cases of a finding, get links."""


def links_of(
    findings: Sequence[tuple[CheckInput, Finding]], console: ConsoleLinks
) -> dg.MarkdownMetadataValue:
    """A list of links: each finding to the sync that it was found after, and to its cases."""
    return _list(
        f"[{checked.clinic.slug}, {checked.window}]({_page(checked, console)}): {finding.what}"
        + "".join(
            f", [{case_id}]({console.case(case_id)})" for case_id in finding.cases[:MAX_LINKED]
        )
        for checked, finding in findings[:MAX_LINKED]
    )


def clinic_links(slugs: Sequence[str], console: ConsoleLinks) -> dg.MarkdownMetadataValue:
    """A list of links to the pages of clinics."""
    return _list(f"[{slug}]({console.clinic(slug)})" for slug in slugs[:MAX_LINKED])


def _list(lines: Iterable[str]) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {line}" for line in lines))


def _page(checked: CheckInput, console: ConsoleLinks) -> str:
    first = checked.window.start
    if checked.audit is None:
        return console.day(checked.clinic.slug, first)
    return console.changes(checked.clinic.slug, checked.audit.id, first)
