"""Concurrent requests to a vendor: one per appointment, or one per batch of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from pims_pipeline.observability.logging import with_context
from pims_pipeline.providers.port import ContractViolation, TransientError

Item = TypeVar("Item")
Response = TypeVar("Response")
AppointmentFailure = TransientError | ContractViolation
"""Errors that concern one appointment only: the other requests of the clinic can succeed."""
_SMALLEST_BATCH = 2


def request_in_batches(
    request: Callable[[Sequence[Item]], Mapping[str, Response]],
    items: Sequence[Item],
    *,
    identity: Callable[[Item], str],
    size: int,
    workers: int,
) -> Iterator[tuple[Item, Response]]:
    """Each item that a batch settles, with its response, in the order in which batches finish.

    An item that its batch leaves out needs a request of its own, and so does each of a batch that
    fails: often one item is the reason.

    Args:
        request: Requests a batch; returns responses by identity.
        items: What to ask for; a single one is no batch.
        identity: The identity of an item.
        size: How many items a batch has at most.
        workers: How many batches are requested at once.

    Raises:
        PimsError, RunStopped: As ``request_concurrently``.
    """
    if len(items) < _SMALLEST_BATCH:
        return
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    for batch, responses in request_concurrently(request, batches, workers):
        if isinstance(responses, Mapping):
            for item in batch:
                if identity(item) in responses:
                    yield item, responses[identity(item)]


def request_concurrently(
    request: Callable[[Item], Response], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Response | AppointmentFailure]]:
    """Each item with its response or failure, in the order in which they finish.

    Raises:
        PimsError: If an error concerns the whole clinic (refused credentials, a session that
            cannot be renewed, a time limit); no further request is sent.
        RunStopped: If the run was stopped.
    """

    def attempt(item: Item) -> Response | AppointmentFailure:
        try:
            return request(item)
        except (TransientError, ContractViolation) as error:
            return error

    work = with_context(attempt)
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="appointment")
    try:
        futures = {pool.submit(work, item): item for item in items}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
