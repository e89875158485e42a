"""What people read of an alert: what is wrong, where to look, the command that helps.

Pure. A clinic is named by its slug; everything else is an id, a count or a moment. How a message
is shown is decided by each notifier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote

from pims_pipeline.dagster_names import EACH_CLINIC_TAG, fresh_check
from pims_pipeline.domain.alerts import AlertKind
from pims_pipeline.domain.phases import PHASES, Phase
from pims_pipeline.store.alerts import Alert

AlertEvent = Literal["started", "ended", "passed"]
"""``passed``: the alert started and ended before its start was delivered."""

_TITLE_PREFIXES: Mapping[AlertEvent, str] = MappingProxyType(
    {"started": "", "ended": "over: ", "passed": "was, and is over: "}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One alert of a message.

    Attributes:
        clinic: The clinic's slug.
        details: Ids, counts and moments.
        links: Addresses of pages, by what to call them.
        command: What helps, as it is typed.
    """

    alert_id: str
    clinic: str
    details: Mapping[str, str | int] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Alerts of the same kind about the same phase, that started, ended or passed.

    Attributes:
        kind: The kind's name, by which the runbook is keyed.
        phase: Which phase they are about, if they are about one.
        meaning: What is wrong, in one sentence.
    """

    event: AlertEvent
    kind: str
    phase: str | None
    meaning: str
    entries: Sequence[Entry]

    @property
    def title(self) -> str:
        """The kind, the phase, and whom it is about, in one line."""
        what = f"{self.kind}, {self.phase}" if self.phase else self.kind
        clinics = list(dict.fromkeys(entry.clinic for entry in self.entries))
        who = clinics[0] if len(clinics) == 1 else f"{len(clinics)} clinics"
        times = f" ({len(self.entries)})" if len(self.entries) > len(clinics) else ""
        return f"{_TITLE_PREFIXES[self.event]}{what}: {who}{times}"


CHECKS: Mapping[AlertKind, Mapping[Phase, str]] = MappingProxyType(
    {
        AlertKind.OVERDUE: {phase: fresh_check(phase) for phase in PHASES},
        AlertKind.HOLD: {Phase.RECONCILIATION: "deletion_guard"},
        AlertKind.DEAD_LETTER: {
            Phase.INBOUND: "snapshot_complete",
            Phase.CASES: "enrichment_errors",
        },
    }
)
"""The asset checks that show what an alert is about, by the phase whose asset has them."""

_MEANINGS: Mapping[AlertKind, str] = MappingProxyType(
    {
        AlertKind.FAILING: "The last three runs failed; each tick tries again.",
        AlertKind.OVERDUE: (
            "Two scheduled ticks have passed without a sync that was completed or held."
        ),
        AlertKind.CREDENTIALS_REJECTED: (
            "The vendor refused the stored credentials; nothing is synced until they are replaced."
        ),
        AlertKind.HUMAN_NEEDED: (
            "The vendor's login asks for a person; nothing is synced until one has been there."
        ),
        AlertKind.HOLD: (
            "Too many appointments are missing from the calendar; deletions wait for a decision."
        ),
        AlertKind.DEAD_LETTER: (
            "A record cannot be read or fetched, and is not tried again by itself."
        ),
        AlertKind.BAD_SCHEDULE: (
            "The cron expression cannot be read; the phase never runs by itself."
        ),
        AlertKind.TICKS_SKIPPED: (
            "Three scheduled ticks in a row were skipped, because a run of the phase is still "
            "going or queued."
        ),
        AlertKind.WRONG_CLOCK: (
            "The clocks of a host and of the database are too far apart; no sync starts there."
        ),
    }
)


def event_of(alert: Alert) -> AlertEvent:
    """What there is to tell of an alert."""
    if alert.ended_at is None:
        return "started"
    return "passed" if alert.opening_sent_at is None else "ended"


def message_of(alerts: Sequence[Alert], dagster_ui_url: str) -> Message:
    """What is told of alerts of one kind and phase with the same news.

    Args:
        alerts: One or more.
        dagster_ui_url: Where the Dagster UI are, without a slash at the end.
    """
    first = alerts[0]
    phase = first.details.get("phase")
    return Message(
        event=event_of(first),
        kind=first.key.kind.value,
        phase=None if phase is None else str(phase),
        meaning=_MEANINGS[first.key.kind],
        entries=[_entry(alert, dagster_ui_url) for alert in alerts],
    )


def _entry(alert: Alert, pages: str) -> Entry:
    details = {name: told for name, told in alert.details.items() if name != "phase"}
    if alert.key.kind is AlertKind.HOLD:
        details["hold_id"] = alert.key.subject
    elif alert.key.kind is AlertKind.DEAD_LETTER:
        details["failure_id"] = alert.key.subject
    details["since"] = alert.opened_at.isoformat(timespec="seconds")
    if alert.ended_at is not None:
        details["until"] = alert.ended_at.isoformat(timespec="seconds")
    return Entry(
        alert_id=str(alert.id),
        clinic=alert.clinic_slug,
        details=details,
        links=_links(alert, pages),
        command=_command(alert),
    )


def _links(alert: Alert, pages: str) -> dict[str, str]:
    tag = quote(f"tag:{EACH_CLINIC_TAG}{alert.clinic_slug}=yes", safe="")
    links = {"runs": f"{pages}/runs?q%5B0%5D={tag}"}
    if run_id := alert.details.get("run_id"):
        links = {"run": f"{pages}/runs/{quote(str(run_id), safe='')}"}
    phase = Phase(str(alert.details.get("phase", Phase.RECONCILIATION.value)))
    if check := CHECKS.get(alert.key.kind, {}).get(phase):
        links["check"] = f"{pages}/assets/{phase.names.asset}?view=checks&checkDetail={check}"
    return links


def _command(alert: Alert) -> str:  # noqa: PLR0911 - one for each kind
    slug, subject = alert.clinic_slug, alert.key.subject
    match alert.key.kind:
        case AlertKind.FAILING | AlertKind.OVERDUE:
            return f"pims sync {Phase(subject).names.scope} --clinic {slug}"
        case AlertKind.TICKS_SKIPPED:
            return "pims status"
        case AlertKind.CREDENTIALS_REJECTED:
            return f"pims credentials set {slug} --company-id … --username … --password-stdin"
        case AlertKind.HUMAN_NEEDED:
            return f"pims credentials check {slug}"
        case AlertKind.HOLD | AlertKind.DEAD_LETTER:
            noun = "holds" if alert.key.kind is AlertKind.HOLD else "failures"
            return f"pims {noun} show {subject}"
        case AlertKind.BAD_SCHEDULE:
            return f'pims clinics schedule {slug} --{subject} "CRON"'
        case AlertKind.WRONG_CLOCK:
            return f"pims status --clinic {slug}"
