"""Import the cases of a clinic that is being adopted, or link them to those that are here.

What a case becomes is decided in ``domain/adoption/importing.py``; the clinic itself belongs in
``importing`` beside this module.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.adoption.inspection import duplicates_of
from pims_pipeline.domain.adoption.importing import (
    Duplicate,
    ImportedCase,
    ImportFinding,
    imported,
    plan_import,
)
from pims_pipeline.domain.adoption.v4 import V4Case
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.adoptions import CaseLink, link_cases, linked_cases
from pims_pipeline.store.cases.importing import import_cases, known_cases
from pims_pipeline.store.v4.cases import cases_of
from pims_pipeline.store.v4.counting import unlinked_total
from pims_pipeline.store.v4.installation import Installation

CASES_AT_ONCE = 1_000

Progress = Callable[[int, int], None]
"""Called with how many of their cases were read, and how many there are."""


@dataclass(slots=True)
class CaseTally:
    """What was found among the cases so far.

    Attributes:
        duplicates: Appointments with several cases there.
        imported: Cases that are new here.
        linked: Cases of theirs that were linked to a case that was here.
        of_people: Cases of theirs that are of no appointment: they stay with the application.
        collisions: Cases of theirs whose id another case has here; not imported.
        findings: How many of the imported cases have each finding.
    """

    duplicates: list[Duplicate]

    imported: int = 0
    linked: int = 0
    of_people: int = 0
    collisions: list[UUID] = field(default_factory=list)
    findings: Counter[ImportFinding] = field(default_factory=Counter)


def adopt_cases(
    connection: Connection,
    installation: Installation,
    clinic: Clinic,
    progress: Progress,
    *,
    dry_run: bool,
) -> CaseTally:
    """Import and link the clinic's cases, a thousand at a time. Those that are linked are not read.

    Args:
        connection: In the transaction that adopts the clinic.
        installation: Whose tables.
        clinic: Ours, whose id is theirs too.
        progress: Called for each thousand.
        dry_run: Whether nothing is written.
    """
    duplicates = duplicates_of(connection, installation, clinic.id)
    left_out = frozenset(other for each in duplicates for other in each.others)
    total = unlinked_total(connection, installation, clinic.id)
    tally, done = CaseTally(duplicates=duplicates), 0
    progress(done, total)
    for batch in _batches(cases_of(connection, installation, clinic.id, linked=False)):
        wanted = _of_appointments(batch, left_out, clinic, tally)
        _adopt_batch(connection, installation, clinic, wanted, tally, dry_run=dry_run)
        done += len(batch)
        progress(done, total)
    return tally


def _batches(cases: Iterator[V4Case]) -> Iterator[list[V4Case]]:
    return iter(lambda: list(islice(cases, CASES_AT_ONCE)), [])


def _of_appointments(
    batch: Iterable[V4Case], left_out: frozenset[UUID], clinic: Clinic, tally: CaseTally
) -> list[ImportedCase]:
    wanted = []
    for case in batch:
        if case.appointment_id is None:
            tally.of_people += 1
        elif case.id not in left_out:
            wanted.append(imported(case, case.appointment_id, clinic.zone))
    return wanted


def _adopt_batch(
    connection: Connection,
    installation: Installation,
    clinic: Clinic,
    cases: list[ImportedCase],
    tally: CaseTally,
    *,
    dry_run: bool,
) -> None:
    plan = plan_import(clinic.id, cases, known_cases(connection, clinic, cases))
    known = {each.case_id for each in linked_cases(connection, clinic.id, list(plan.links))}
    new_links = [_link(ours, case) for ours, case in plan.links.items() if ours not in known]
    tally.imported += len(plan.imports)
    tally.linked += len(new_links)
    tally.collisions += plan.collisions
    tally.findings.update(finding for case in plan.imports for finding in case.findings)
    if not dry_run:
        import_cases(connection, clinic, installation, plan.imports)
        links = [*new_links, *(_link(case.id, case) for case in plan.imports)]
        link_cases(connection, clinic.id, links)


def _link(case_id: UUID, case: ImportedCase) -> CaseLink:
    return CaseLink(case_id=case_id, their_case_id=case.id, external_id=case.external_id)
