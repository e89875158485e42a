"""The queries that the adapter sends."""

import pytest
from graphql import FieldNode, OperationDefinitionNode, SelectionSetNode, parse

from pims_pipeline.providers.vetspire import documents

EVERY = {
    "page": documents.PAGE,
    "identities": documents.IDENTITIES,
    "providers": documents.PROVIDERS,
    "types": documents.TYPES,
    "locations": documents.LOCATIONS,
    "lookups": documents.lookups(3),
    "consultations": documents.encounters(3),
    "consultations without assumed fields": documents.encounters(3, with_assumed=False),
}


def depth(selected: SelectionSetNode | None) -> int:
    if selected is None:
        return 0
    fields = [each for each in selected.selections if isinstance(each, FieldNode)]
    return 1 + max(depth(each.selection_set) for each in fields)


@pytest.mark.parametrize("document", EVERY.values(), ids=EVERY)
def test_no_query_is_deeper_than_the_vendor_accepts(document: str) -> None:
    (operation,) = parse(document).definitions

    assert isinstance(operation, OperationDefinitionNode)
    assert depth(operation.selection_set) <= documents.MAX_DEPTH


def test_each_page_asks_for_finished_appointments_too() -> None:
    for document in (documents.PAGE, documents.IDENTITIES, documents.PROVIDERS):
        assert "includeCompleted: true" in document


def test_each_record_of_a_batch_has_an_alias_and_a_variable() -> None:
    document = documents.lookups(2)

    assert all(f"{documents.alias(n)}: " in document and f"$i{n}" in document for n in (0, 1))
    assert documents.identities(["7", "8"]) == {"i0": "7", "i1": "8"}
