"""The type of the ``make_key`` fixture."""

from datetime import datetime
from typing import Protocol

from pims_pipeline.domain.clinics import Clinic


class MakeKey(Protocol):
    """Creates an API key of a clinic, and returns its text."""

    def __call__(
        self,
        *permissions: str,
        clinic: Clinic | None = None,
        expires_at: datetime | None = None,
        wait_seconds: int | None = None,
    ) -> str: ...
