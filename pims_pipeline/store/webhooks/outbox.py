"""The outbox of webhooks: which changes are due, who delivers them, and how it ended.

A row is a change that a webhook has not got. It is claimed in one transaction, sent outside of any,
and removed or put off in another. A process that dies in between leaves a claim that expires: the
change is sent again. Of the changes of one case only the oldest is ever due, so that a receiver
gets them in order. All times are the database's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.webhooks.retries import GIVE_UP_AFTER, REST_AFTER

CLAIM_SECONDS = 60
"""How long a claim lasts; longer than any request takes."""
LARGEST_SHARE = 8
"""Changes that one webhook may get at a time, so that others get theirs too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A change that this process delivers to a webhook.

    Attributes:
        attempts: How many failed before.
        failures: Deliveries to this webhook that failed since the last one that did not.
        rests: How often since then one change was sent to see whether it arrives.
        claimed_until: Identifies the claim.
    """

    webhook_id: UUID
    clinic_id: UUID
    clinic: str
    url: str = field(repr=False)
    seq: int
    case_id: UUID
    attempts: int
    failures: int
    rests: int
    claimed_until: datetime


_IS_DUE = """
    head.webhook_id = hook.id AND head.due_at <= clock_timestamp()
    AND (head.claimed_until IS NULL OR head.claimed_until <= clock_timestamp())
    AND NOT EXISTS (
        SELECT FROM webhook_deliveries AS older
        WHERE older.webhook_id = head.webhook_id AND older.case_id = head.case_id
            AND older.seq < head.seq
    )
"""
"""Whether the change ``head`` may be sent to ``hook``: it is due, free, and its case's oldest."""

# Webhooks take turns by chance. One that fails gets one change at a time: if that one arrives, the
# others follow.
_CLAIM = f"""
    WITH due AS (
        SELECT delivery.webhook_id, delivery.seq
        FROM (
            SELECT id, failures FROM webhooks AS hook
            WHERE status = 'active' AND (retry_at IS NULL OR retry_at <= clock_timestamp())
                AND EXISTS (SELECT FROM webhook_deliveries AS head WHERE {_IS_DUE})
            ORDER BY random() LIMIT :limit
        ) AS hook CROSS JOIN LATERAL (
            SELECT head.webhook_id, head.seq FROM webhook_deliveries AS head WHERE {_IS_DUE}
            ORDER BY head.due_at, head.seq
            LIMIT CASE WHEN hook.failures >= :rest_after THEN 1 ELSE :share END
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
        delivery.seq, delivery.case_id, delivery.attempts, hook.failures, hook.rests,
        delivery.claimed_until
"""  # noqa: S608 - a fixed condition


def claim_due(connection: Connection, limit: int) -> list[Claim]:
    """Claim changes that are due, at most ``limit``; other processes skip them."""
    rows = connection.execute(
        text(_CLAIM),
        {
            "rest_after": REST_AFTER,
            "share": LARGEST_SHARE,
            "limit": limit,
            "seconds": CLAIM_SECONDS,
        },
    )
    return [Claim(**row) for row in rows.mappings()]


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
            UPDATE webhooks SET failures = 0, rests = 0, failing_since = NULL, retry_at = NULL,
                last_error = NULL, delivered_at = clock_timestamp()
            WHERE id = :webhook_id AND status = 'active' AND (
                failures > 0 OR last_error IS NOT NULL OR delivered_at IS NULL
                OR delivered_at < clock_timestamp() - interval '10 seconds')
            """
        ),
        key,
    )


def note_failed(
    connection: Connection, claim: Claim, error: str, *, pause: timedelta, rest: timedelta | None
) -> None:
    """Put off a change that was not delivered; disable the webhook if it fails for too long.

    Args:
        connection: In a transaction.
        claim: As it was claimed; if it expired and another process has it, nothing is changed.
        error: Why, in a few words, without anything that the receiver said.
        pause: How long to wait with this change.
        rest: How long to send nothing to the webhook; None to go on with other changes.
    """
    failed_since = connection.scalar(
        text(_PUT_OFF),
        {
            "webhook_id": claim.webhook_id,
            "seq": claim.seq,
            "claimed_until": claim.claimed_until,
            "pause": pause,
        },
    )
    if failed_since is None:
        return
    named = {"webhook_id": claim.webhook_id}
    connection.execute(text(_COUNT_FAILURE), {**named, "error": error, "rest": rest})
    connection.execute(
        text(_DISABLE_IF_TOO_LONG),
        {**named, "failed_since": failed_since, "longest": GIVE_UP_AFTER},
    )


_PUT_OFF = """
    UPDATE webhook_deliveries SET attempts = attempts + 1, claimed_until = NULL,
        failed_since = coalesce(failed_since, clock_timestamp()),
        due_at = clock_timestamp() + CAST(:pause AS interval)
    WHERE webhook_id = :webhook_id AND seq = :seq AND claimed_until = :claimed_until
    RETURNING failed_since
"""
_COUNT_FAILURE = """
    UPDATE webhooks SET failures = failures + 1, last_error = :error,
        failing_since = coalesce(failing_since, clock_timestamp()),
        rests = rests + CASE WHEN CAST(:rest AS interval) IS NULL THEN 0 ELSE 1 END,
        retry_at = coalesce(clock_timestamp() + CAST(:rest AS interval), retry_at)
    WHERE id = :webhook_id AND status = 'active'
"""
# A single change that is refused for so long also counts: the later ones of its case wait for it.
_DISABLE_IF_TOO_LONG = """
    UPDATE webhooks SET status = 'disabled', disabled_at = clock_timestamp()
    WHERE id = :webhook_id AND status = 'active'
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
