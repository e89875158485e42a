"""The change feed: changes of cases, in the order of their commits."""

from collections.abc import Sequence
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from pims_pipeline.domain.phases import PhaseName
from pims_pipeline.store.queries.changes import Change
from pims_pipeline.wire.cases import Kind
from pims_pipeline.wire.shape import Model, Timestamp, left_out_if_none


class Cause(Model):
    """What made a change: all but the run and the partition are null for an imported case."""

    phase: PhaseName | None
    sync_id: UUID | None
    run_id: str
    partition_key: str
    digest: Annotated[str | None, Field(description="Of the vendor's record, if one caused it.")]


class ChangeOfCase(Model):
    """One change of a case."""

    seq: Annotated[int, Field(description="Grows with each change; numbers may be missing.")]
    case_id: UUID
    kind: Kind
    fields: Annotated[list[str], Field(description="The names of the fields that changed.")]
    occurred_at: Timestamp
    cause: Cause
    values: Annotated[
        dict[str, tuple[Any, Any]] | None,
        left_out_if_none("`[before, after]` by field; only with `values=true`."),
    ] = None

    @classmethod
    def of(cls, change: Change) -> Self:
        """Build it from a stored change."""
        return cls(
            seq=change.seq,
            case_id=change.case_id,
            kind=change.kind,
            fields=list(change.fields),
            occurred_at=change.occurred_at,
            cause=Cause(
                phase=change.phase,
                sync_id=change.audit_id,
                run_id=change.run_id,
                partition_key=change.partition_key,
                digest=change.source_digest,
            ),
            values=None if change.values is None else dict(change.values),
        )


class ChangeList(Model):
    """A page of the change feed."""

    changes: list[ChangeOfCase]
    next_after: Annotated[int, Field(description="The `after` of the next request.")]
    has_more: Annotated[bool, Field(description="Whether further changes are there already.")]

    @classmethod
    def of(cls, found: Sequence[Change], *, after: int, limit: int) -> Self:
        """Build a page.

        Args:
            found: The changes, and one more than ``limit`` if there are more.
            after: As requested.
            limit: The most changes of the page.
        """
        page = found[:limit]
        return cls(
            changes=[ChangeOfCase.of(each) for each in page],
            next_after=page[-1].seq if page else after,
            has_more=len(found) > limit,
        )
