"""Batches that fail whole because of one identity, against an invented vendor."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.providers.vetspire.batches import rows_by_identity
from pims_pipeline.providers.vetspire.client import ReportedErrors
from pims_pipeline.providers.vetspire.documents import alias


class Vendor:
    def __init__(self, unknown: set[str], broken: set[str]) -> None:
        self.unknown, self.broken, self.requests = unknown, broken, 0

    def __call__(self, identities: Sequence[str]) -> Mapping[str, object]:
        self.requests += 1
        bad = self.unknown.intersection(identities), self.broken.intersection(identities)
        if any(bad):
            raise ReportedErrors("reported", all_unknown=not bad[1], refuses_assumed=False)
        return {alias(number): {"id": each} for number, each in enumerate(identities)}


numbers = st.sets(st.integers(0, 30)).map(lambda found: sorted(map(str, found)))


@given(numbers, st.sets(st.sampled_from("0123456789")), st.sets(st.sampled_from("12345")))
def test_only_what_the_vendor_does_not_know_is_unknown(
    identities: list[str], unknown: set[str], broken: set[str]
) -> None:
    rows = dict(rows_by_identity(identities, 7, Vendor(unknown, broken)))

    assert rows == {
        each: None if each in unknown else {"id": each} for each in identities if each not in broken
    }


def test_one_unknown_identity_of_fifty_costs_few_requests() -> None:
    vendor = Vendor({"17"}, set())

    rows = dict(rows_by_identity([str(number) for number in range(50)], 50, vendor))

    assert len(rows) == 50
    assert vendor.requests <= 13


def test_an_identity_that_the_response_leaves_out_is_left_out() -> None:
    assert list(rows_by_identity(["1", "2"], 50, lambda _: {alias(1): None})) == [("2", None)]
