"""Searching cases by patient, client, phone or vendor id."""

from dataclasses import dataclass

from pims_pipeline.domain.console.operators import OperatorAction
from pims_pipeline.domain.console.search import parse_search
from pims_pipeline.operations.operators.sign_in import OperatorView
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.operators.log import note_action
from pims_pipeline.store.queries.console.found_cases import FoundCase, find_cases

MOST_FOUND = 50


@dataclass(frozen=True, slots=True)
class SearchPage:
    """What a search found.

    Attributes:
        has_more: Whether there are more than ``MOST_FOUND``; the newest are shown.
    """

    cases: tuple[FoundCase, ...]
    has_more: bool


def search_cases(view: OperatorView, text: str) -> SearchPage:
    """The cases of the operator's clinics that match a line of text.

    The search is logged with the ids of the cases shown, in the same transaction; its text is not.

    Raises:
        BadSearch: If the text names nothing.
    """
    search = parse_search(text)
    with transaction(view.engine) as connection:
        found = find_cases(connection, search, MOST_FOUND + 1)
        shown = tuple(found[:MOST_FOUND])
        facts = {"by": search.kinds, "cases": [str(each.id) for each in shown]}
        note_action(connection, view.actor, OperatorAction.CASES_SEARCHED, details=facts)
    return SearchPage(shown, len(found) > MOST_FOUND)
