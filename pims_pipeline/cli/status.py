"""``pims status``: how each clinic stands."""

from datetime import UTC, datetime
from typing import Any

import click

from pims_pipeline.cli.options import examples, json_option
from pims_pipeline.cli.output import age, print_json, print_table
from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.domain.outcome import AuditStatus, SyncType
from pims_pipeline.settings import Settings
from pims_pipeline.store.clinic_states import ClinicState, clinic_state
from pims_pipeline.store.clinics import all_clinics
from pims_pipeline.store.database import transaction
from pims_pipeline.sync.results import utc_text


@click.command(
    cls=Command,
    epilog=examples(
        "pims status",
        "pims status --json",
    ),
)
@json_option
@click.pass_obj
def status(settings: Settings, *, as_json: bool) -> None:
    """Show how each clinic stands.

    For each phase, when it last succeeded (and how it ended since, if it did not); whether the
    login works and a session is at hand; the windows whose deletions wait for a person, and the
    records that could not be read or fetched.
    """
    now = datetime.now(UTC)
    with open_store(settings) as store, transaction(store.engine) as connection:
        states = [clinic_state(connection, each, now) for each in all_clinics(connection)]
    if as_json:
        clinics = [_document(state, now) for state in states]
        print_json({"clinics": clinics, "timestamp": utc_text(now)})
        return
    print_table(
        ["Clinic", *map(str, SyncType), "Login", "Session", "Holds", "Dead letters"],
        (_row(state, now) for state in states),
        empty="No clinic is registered; `pims clinics add --help` tells how.",
    )


def _row(state: ClinicState, now: datetime) -> list[str]:
    clinic = state.clinic
    return [
        clinic.slug if clinic.is_active else f"{clinic.slug} (inactive)",
        *(_phase_text(state, phase, now) for phase in SyncType),
        state.credentials or "none",
        state.session.status,
        str(state.open_holds),
        str(state.dead_letters),
    ]


def _phase_text(state: ClinicState, phase: SyncType, now: datetime) -> str:
    text = age(state.last_success.get(phase), now)
    latest = state.latest.get(phase)
    if latest is None or latest.status is AuditStatus.COMPLETED:
        return text
    return f"{text} ({latest.status.value})"


def _document(state: ClinicState, now: datetime) -> dict[str, Any]:
    session = state.session
    return {
        "slug": state.clinic.slug,
        "name": state.clinic.name,
        "timezone": state.clinic.timezone,
        "isActive": state.clinic.is_active,
        "phases": {str(phase): _phase(state, phase, now) for phase in SyncType},
        "credentials": state.credentials,
        "session": {
            "status": session.status,
            "expiresAt": utc_text(session.expires_at) if session.expires_at else None,
            "lastUsedAt": utc_text(session.last_used_at) if session.last_used_at else None,
        },
        "openHolds": state.open_holds,
        "deadLetters": state.dead_letters,
    }


def _phase(state: ClinicState, phase: SyncType, now: datetime) -> dict[str, Any]:
    success = state.last_success.get(phase)
    latest = state.latest.get(phase)
    return {
        "lastSuccessAt": utc_text(success) if success else None,
        "ageSeconds": max(0, round((now - success).total_seconds())) if success else None,
        "latest": {
            "syncId": str(latest.id),
            "status": latest.status.value,
            "startedAt": utc_text(latest.created_at),
            "error": latest.error_message,
        }
        if latest
        else None,
    }
