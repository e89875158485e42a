"""The outbox of webhooks: which changes are due, who delivers them, and how it ended.

A row is a change that a webhook has not got. It is claimed in one transaction, sent outside of any,
and removed or put off in another. A process that dies in between leaves a claim that expires: the
change is sent again. Of the changes of one case only the oldest is ever due, so that a receiver
gets them in order. All times are the database's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.webhooks.retries import GIVE_UP_AFTER, REST_AFTER

CLAIM_SECONDS = 60
"""How long a claim lasts."""
LONGEST_REQUEST_SECONDS = 20
"""Longer than any request takes, and less than a claim lasts."""
LARGEST_SHARE = 8
"""Changes that one webhook may get at a time, so that others get theirs too."""
FEWEST_ATTEMPTS = 5
"""A webhook is not disabled before, in case nothing was delivered for days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A change that this process delivers to a webhook.

    Attributes:
        with_values: Whether the message holds what fields had before and after.
        attempts: How many failed before.
        failures: Changes that this webhook did not accept at first, since the last that it did.
        rests: How often since then one change was sent to see whether it arrives.
        claimed_until: Identifies the claim.
    """

    webhook_id: UUID
    clinic_id: UUID
    clinic: str
    url: str = field(repr=False)
    with_values: bool
    seq: int
    case_id: UUID
    attempts: int
    failures: int
    rests: int
    claimed_until: datetime


_IS_DUE = """
    head.webhook_id = hook.id AND head.due_at <= now()
    AND (head.claimed_until IS NULL OR head.claimed_until <= now())
    AND head.seq = (
        SELECT min(older.seq) FROM webhook_deliveries AS older
        WHERE older.webhook_id = head.webhook_id AND older.case_id = head.case_id
    )
"""
"""Whether the change ``head`` may be sent to ``hook``: it is due, free, and its case's oldest.

Written so that each part reads an index, also with the statistics of a table that is filled and
emptied all day: no NOT EXISTS, which may become a join of all changes of a case with each other,
and no ``clock_timestamp()``, which no index is searched by.
"""

# The look for one due change is sorted for the same reason. Webhooks take turns by chance, and each
# has a share of the requests at a time. One that fails gets one change at a time: if that one
# arrives, the others follow.
_CLAIM = f"""
    WITH due AS (
        SELECT delivery.webhook_id, delivery.seq
        FROM (
            SELECT hook.id, CASE WHEN failures >= :rest_after THEN 1 ELSE :share END
                - coalesce(busy.requests, 0) AS share
            FROM webhooks AS hook LEFT JOIN unnest(
                CAST(:busy AS uuid[]), CAST(:requests AS integer[])
            ) AS busy (id, requests) ON busy.id = hook.id
            WHERE status = 'active' AND (retry_at IS NULL OR retry_at <= now())
                AND CASE WHEN failures >= :rest_after THEN 1 ELSE :share END
                    > coalesce(busy.requests, 0)
                AND (
                    SELECT true FROM webhook_deliveries AS head WHERE {_IS_DUE}
                    ORDER BY head.due_at, head.seq LIMIT 1)
            ORDER BY random() LIMIT :limit
        ) AS hook CROSS JOIN LATERAL (
            SELECT head.webhook_id, head.seq FROM webhook_deliveries AS head WHERE {_IS_DUE}
            ORDER BY head.due_at, head.seq LIMIT hook.share
            FOR UPDATE OF head SKIP LOCKED
        ) AS delivery
        LIMIT :limit
    )
    UPDATE webhook_deliveries AS delivery
    SET claimed_until = clock_timestamp() + make_interval(secs => :seconds)
    FROM due
        JOIN webhooks AS hook ON hook.id = due.webhook_id
        JOIN clinics AS clinic ON clinic.id = hook.clinic_id
    WHERE delivery.webhook_id = due.webhook_id AND delivery.seq = due.seq
    RETURNING delivery.webhook_id, delivery.clinic_id, clinic.slug AS clinic, hook.url,
        hook.with_values, delivery.seq, delivery.case_id, delivery.attempts, hook.failures,
        hook.rests, delivery.claimed_until
"""  # noqa: S608 - a fixed condition


def claim_due(connection: Connection, limit: int, busy: Mapping[UUID, int]) -> list[Claim]:
    """Claim changes that are due, at most ``limit``; other processes skip them.

    Args:
        connection: In a transaction.
        limit: The most.
        busy: How many requests to each webhook this process waits for.
    """
    rows = connection.execute(
        text(_CLAIM),
        {
            "busy": list(busy),
            "requests": list(busy.values()),
            "rest_after": REST_AFTER,
            "share": LARGEST_SHARE,
            "limit": limit,
            "seconds": CLAIM_SECONDS,
        },
    )
    return [Claim(**row) for row in rows.mappings()]


def is_still_claimed(connection: Connection, claim: Claim) -> bool:
    """Whether the change may be sent now.

    Not if its claim ends before a request would, because another process may then send it and those
    that follow; nor if its webhook was disabled or removed.
    """
    return bool(
        connection.scalar(
            text(
                """
                SELECT EXISTS (
                    SELECT FROM webhook_deliveries AS delivery
                        JOIN webhooks AS hook ON hook.id = delivery.webhook_id
                    WHERE delivery.webhook_id = :webhook_id AND delivery.seq = :seq
                        AND delivery.claimed_until = :claimed_until AND hook.status = 'active'
                        AND :claimed_until > clock_timestamp() + make_interval(secs => :seconds))
                """
            ),
            {
                "webhook_id": claim.webhook_id,
                "seq": claim.seq,
                "claimed_until": claim.claimed_until,
                "seconds": LONGEST_REQUEST_SECONDS,
            },
        )
    )


def note_delivered(connection: Connection, claim: Claim) -> None:
    """Remove a change that was delivered, or whose event is gone."""
    key = {"webhook_id": claim.webhook_id, "seq": claim.seq}
    connection.execute(
        text("DELETE FROM webhook_deliveries WHERE webhook_id = :webhook_id AND seq = :seq"), key
    )
    # Most deliveries follow another, and write nothing here.
    connection.execute(
        text(
            """
            UPDATE webhooks SET failures = 0, rests = 0, failing_since = NULL,
                last_error = NULL, delivered_at = clock_timestamp()
            WHERE id = :webhook_id AND status = 'active' AND (
                failures > 0 OR last_error IS NOT NULL OR delivered_at IS NULL
                OR delivered_at < clock_timestamp() - interval '10 seconds')
            """
        ),
        key,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAccepted:
    """How a request failed, and what follows.

    Attributes:
        error: Why, in a few words, without anything that the receiver said.
        pause: How long to wait with this change.
        rest: How long to send nothing to the webhook; None to go on with other changes.
        is_trial: Whether it was sent to see whether the webhook works again.
    """

    error: str
    pause: timedelta
    rest: timedelta | None
    is_trial: bool


def note_failed(connection: Connection, claim: Claim, failure: NotAccepted) -> None:
    """Put off a change that was not delivered; disable the webhook if it fails for too long.

    Does nothing if the claim has ended and another process has the change.
    """
    failed_since = connection.scalar(
        text(_PUT_OFF),
        {
            "webhook_id": claim.webhook_id,
            "seq": claim.seq,
            "claimed_until": claim.claimed_until,
            "pause": failure.pause,
        },
    )
    if failed_since is None:
        return
    named = {"webhook_id": claim.webhook_id, "trials": int(failure.is_trial)}
    # A change that is refused again and again must not stop those of other cases.
    counted = int(claim.attempts == 0 or failure.is_trial)
    connection.execute(
        text(_COUNT_FAILURE),
        {**named, "error": failure.error, "rest": failure.rest, "counted": counted},
    )
    connection.execute(
        text(_DISABLE_IF_TOO_LONG),
        {
            **named,
            "failed_since": failed_since,
            "attempts": claim.attempts + 1,
            "fewest": FEWEST_ATTEMPTS,
            "longest": GIVE_UP_AFTER,
        },
    )


_PUT_OFF = """
    UPDATE webhook_deliveries SET attempts = attempts + 1, claimed_until = NULL,
        failed_since = coalesce(failed_since, clock_timestamp()),
        due_at = clock_timestamp() + CAST(:pause AS interval)
    WHERE webhook_id = :webhook_id AND seq = :seq AND claimed_until = :claimed_until
    RETURNING failed_since
"""
_COUNT_FAILURE = """
    UPDATE webhooks SET failures = failures + :counted, last_error = :error,
        failing_since = coalesce(failing_since, clock_timestamp()), rests = rests + :trials,
        retry_at = greatest(retry_at, clock_timestamp() + CAST(:rest AS interval))
    WHERE id = :webhook_id AND status = 'active'
"""
# A single change that is refused for so long also counts: the later ones of its case wait for it.
_DISABLE_IF_TOO_LONG = """
    UPDATE webhooks SET status = 'disabled', disabled_at = clock_timestamp()
    WHERE id = :webhook_id AND status = 'active' AND greatest(rests, :attempts) >= :fewest
        AND least(failing_since, CAST(:failed_since AS timestamptz))
            <= clock_timestamp() - CAST(:longest AS interval)
"""


def disable(connection: Connection, claim: Claim, error: str) -> None:
    """Disable a webhook whose receiver wants no more; what waits stays, to be replayed."""
    connection.execute(
        text(
            "UPDATE webhooks SET status = 'disabled', disabled_at = clock_timestamp(), "
            "failures = failures + 1, last_error = :error "
            "WHERE id = :webhook_id AND status = 'active'"
        ),
        {"webhook_id": claim.webhook_id, "error": error},
    )
    release(connection, [claim])


def release(connection: Connection, claims: Sequence[Claim]) -> None:
    """Give claims back unsent."""
    for claim in claims:
        connection.execute(
            text(
                "UPDATE webhook_deliveries SET claimed_until = NULL WHERE webhook_id = :webhook_id "
                "AND seq = :seq AND claimed_until = :claimed_until"
            ),
            {
                "webhook_id": claim.webhook_id,
                "seq": claim.seq,
                "claimed_until": claim.claimed_until,
            },
        )
