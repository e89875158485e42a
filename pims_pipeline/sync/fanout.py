"""Asking a vendor about many visits side by side."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from pims_pipeline.observability.logging import with_context
from pims_pipeline.providers.port import ContractViolation, TransientError

Visit = TypeVar("Visit")
Answer = TypeVar("Answer")
VisitFailure = TransientError | ContractViolation
"""What may befall one visit while the clinic's others can still be asked about."""


def ask_side_by_side(
    question: Callable[[Visit], Answer], visits: Iterable[Visit], workers: int
) -> Iterator[tuple[Visit, Answer | VisitFailure]]:
    """Each visit with its answer, or with what befell it, in the order of coming in.

    Raises:
        PimsError: What concerns the whole clinic (refused credentials, a session that
            cannot be renewed, a time limit); nothing more is asked then.
        RunStopped: If the run was told to stop.
    """

    def attempt(visit: Visit) -> Answer | VisitFailure:
        try:
            return question(visit)
        except (TransientError, ContractViolation) as error:
            return error

    work = with_context(attempt)
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="visit")
    try:
        futures = {pool.submit(work, visit): visit for visit in visits}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
