"""Concurrent requests to a vendor, one per appointment."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from pims_pipeline.observability.logging import with_context
from pims_pipeline.providers.port import ContractViolation, TransientError

Item = TypeVar("Item")
Response = TypeVar("Response")
AppointmentFailure = TransientError | ContractViolation
"""Errors that concern one appointment only: the other requests of the clinic can succeed."""


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
