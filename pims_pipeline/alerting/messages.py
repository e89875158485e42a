"""The message of an alert: what is wrong, where to look, the command that helps.

Pure. A message names a clinic by its slug; all else is an id, a count or a time, never personal
data. Each notifier decides how it shows a message.
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
    {"started": "", "ended": "resolved: ", "passed": "started and resolved: "}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEntry:
    """One alert of a message.

    Attributes:
        clinic: The clinic's slug.
        details: Ids, counts and times.
        links: Addresses in the Dagster UI, by their labels.
        command: The command that helps, as it is typed.
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
    entries: Sequence[AlertEntry]

    @property
    def title(self) -> str:
        """The kind, the phase and the clinics, in one line."""
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
        AlertKind.FAILING: "The last three runs failed; each scheduled tick tries again.",
        AlertKind.OVERDUE: (
            "Two scheduled ticks have passed without a completed or held sync; check that the "
            "Dagster daemon runs, then start a sync."
        ),
        AlertKind.CREDENTIALS_REJECTED: (
            "The vendor refused the stored credentials; nothing is synced until new ones are "
            "stored."
        ),
        AlertKind.HUMAN_NEEDED: (
            "The vendor's login needs a person; nothing is synced until someone logs in at the "
            "vendor and the credentials are checked."
        ),
        AlertKind.HOLD: (
            "Too many appointments are missing from the calendar, or in rooms that are not synced; "
            "the deletions wait for an "
            "operator's decision."
        ),
        AlertKind.DEAD_LETTER: (
            "A record cannot be read or fetched, and is not retried automatically."
        ),
        AlertKind.BAD_SCHEDULE: (
            "The cron expression or time zone is invalid; the phase does not run on schedule."
        ),
        AlertKind.TICKS_SKIPPED: (
            "Three scheduled ticks in a row were skipped, because a run of the phase is still "
            "active or queued."
        ),
        AlertKind.WEBHOOK_DISABLED: (
            "A webhook got no message for three days, or its receiver wants no more; changes wait "
            "until it is replayed."
        ),
        AlertKind.WRONG_CLOCK: (
            "The clocks of a host and of the database are too far apart; no sync starts on that "
            "host until they agree."
        ),
    }
)


def event_of(alert: Alert) -> AlertEvent:
    """Which event of the alert is delivered next."""
    if alert.ended_at is None:
        return "started"
    return "passed" if alert.opening_sent_at is None else "ended"


def message_of(alerts: Sequence[Alert], dagster_ui_url: str) -> Message:
    """The message of alerts that share their kind, phase and event.

    Args:
        alerts: One or more.
        dagster_ui_url: The address of the Dagster UI, without a slash at the end.
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


def _entry(alert: Alert, dagster_ui_url: str) -> AlertEntry:
    details = {name: value for name, value in alert.details.items() if name != "phase"}
    if alert.key.kind is AlertKind.HOLD:
        details["hold_id"] = alert.key.subject
    elif alert.key.kind is AlertKind.DEAD_LETTER:
        details["failure_id"] = alert.key.subject
    elif alert.key.kind is AlertKind.WEBHOOK_DISABLED:
        details["webhook_id"] = alert.key.subject
    details["since"] = alert.opened_at.isoformat(timespec="seconds")
    if alert.ended_at is not None:
        details["until"] = alert.ended_at.isoformat(timespec="seconds")
    return AlertEntry(
        alert_id=str(alert.id),
        clinic=alert.clinic_slug,
        details=details,
        links=_links(alert, dagster_ui_url),
        command=_command(alert),
    )


def _links(alert: Alert, dagster_ui_url: str) -> dict[str, str]:
    tag = quote(f"tag:{EACH_CLINIC_TAG}{alert.clinic_slug}=yes", safe="")
    links = {"runs": f"{dagster_ui_url}/runs?q%5B0%5D={tag}"}
    if run_id := alert.details.get("run_id"):
        links = {"run": f"{dagster_ui_url}/runs/{quote(str(run_id), safe='')}"}
    phase = Phase(str(alert.details.get("phase", Phase.RECONCILIATION.value)))
    if check := CHECKS.get(alert.key.kind, {}).get(phase):
        asset = f"{dagster_ui_url}/assets/{phase.names.asset}"
        links["check"] = f"{asset}?view=checks&checkDetail={check}"
    return links


def _command(alert: Alert) -> str:  # noqa: PLR0911 - one for each kind
    slug, subject = alert.clinic_slug, alert.key.subject
    match alert.key.kind:
        case AlertKind.FAILING | AlertKind.OVERDUE:
            return f"pims sync {Phase(subject).names.scope} --clinic {slug}"
        case AlertKind.TICKS_SKIPPED:
            return "pims status"
        case AlertKind.CREDENTIALS_REJECTED:
            return f"pims credentials set {slug}"
        case AlertKind.HUMAN_NEEDED:
            return f"pims credentials check {slug}"
        case AlertKind.HOLD | AlertKind.DEAD_LETTER:
            noun = "holds" if alert.key.kind is AlertKind.HOLD else "failures"
            return f"pims {noun} show {subject}"
        case AlertKind.BAD_SCHEDULE:
            return f'pims clinics schedule {slug} --{subject} "CRON"'
        case AlertKind.WEBHOOK_DISABLED:
            return f"pims webhooks replay {subject}"
        case AlertKind.WRONG_CLOCK:
            return f"pims status --clinic {slug}"
