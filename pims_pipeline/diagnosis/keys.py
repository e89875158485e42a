"""The check of the encryption keys: whether they decrypt what is stored. Counts only."""

from collections.abc import Iterator

from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import DoctorFinding
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.store.secrets.inspection import SecretCounts, inspect_secrets

_GIVE_BACK = "give the old key back in ENCRYPTION_KEYS_RETIRED"


def check_keys(installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
    """Decrypt every stored login and session."""
    vault = None if installation.open_vault is None else installation.open_vault()
    found = inspect_secrets(installation.database(), vault)
    if vault is None and not found.credentials.stored:
        yield DoctorFinding.ok("no key yet, and nothing that is encrypted")
        return
    yield from credentials(found.credentials)
    yield from sessions(found.sessions)
    retired = found.credentials.retired + found.sessions.retired
    if retired:
        yield DoctorFinding.warning(
            f"{retired} of them {_is(retired)} under a retired key",
            "run `pims credentials rotate`, then remove the key from ENCRYPTION_KEYS_RETIRED",
        )


def credentials(counts: SecretCounts) -> Iterator[DoctorFinding]:
    """What the counts of logins mean."""
    if counts.key_gone:
        yield DoctorFinding.failed(
            f"the key of {counts.key_gone} of {_logins(counts.stored)} is not among ours",
            f"{_GIVE_BACK}, or enter the logins again with `pims credentials set`",
        )
    if counts.damaged:
        yield DoctorFinding.failed(
            f"{counts.damaged} of {_logins(counts.stored)} {_is(counts.damaged)} damaged",
            "enter them again with `pims credentials set`, and find out who changed the rows",
        )
    if not counts.key_gone and not counts.damaged:
        yield DoctorFinding.ok(f"{_logins(counts.stored)} decrypted")


def sessions(counts: SecretCounts) -> Iterator[DoctorFinding]:
    """What the counts of sessions mean: a sync replaces each that it cannot use."""
    if counts.key_gone:
        yield DoctorFinding.warning(
            f"the key of {counts.key_gone} of {_sessions(counts.stored)} is not among ours",
            f"{_GIVE_BACK}; otherwise the next syncs log in again",
        )
    if counts.damaged:
        yield DoctorFinding.failed(
            f"{counts.damaged} of {_sessions(counts.stored)} {_is(counts.damaged)} damaged",
            "run `pims credentials check` for each clinic, and find out who changed the rows",
        )
    if not counts.key_gone and not counts.damaged:
        yield DoctorFinding.ok(f"{_sessions(counts.stored)} decrypted")


def _logins(number: int) -> str:
    return f"{number} {'login' if number == 1 else 'logins'}"


def _sessions(number: int) -> str:
    return f"{number} {'session' if number == 1 else 'sessions'}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
