"""A check of case events: replayed with the users' edits, they give the cases."""

from datetime import UTC
from typing import Any
from uuid import UUID

from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic

_REPLAYED = (
    "status", "case_type", "patient_name", "patient_species", "client_name", "scheduled_date",
    "scheduled_start",
)  # fmt: skip


def events_explain_the_cases(synced: SyncedClinic, cases: dict[str, Any]) -> None:
    """Replaying a case's events and its users' edits gives the case, without a gap."""
    replays = {case.id: _Replay(synced, case.id) for case in cases.values()}
    for event in synced.rows(
        "SELECT seq, case_id, kind, changes FROM case_events WHERE clinic_id = %(clinic_id)s "
        "ORDER BY seq"
    ):
        replays[event.case_id].apply(event)
    for case in cases.values():
        replayed = replays[case.id].finish()
        for name in _REPLAYED:
            assert replayed.get(name) == _as_recorded(getattr(case, name)), name
        kept = case.metadata if isinstance(case.metadata, dict) else {}
        assert replayed.get("consultation.notes") == (kept.get("consultation") or {}).get("notes")
        assert bool(replayed.get("softDeleted")) == case.retired


class _Replay:
    """The fields of a case, from its events and its users' edits in order."""

    def __init__(self, synced: SyncedClinic, case_id: UUID) -> None:
        self._edits = [each for each in synced.edits if each.case_id == case_id]
        self._overwrites = [each for each in synced.overwrites if each.case_id == case_id]
        self._fields: dict[str, Any] = {}
        self._seq = 0

    def apply(self, event: Any) -> None:
        self._apply_edits()
        for name, (before, after) in event.changes.items():
            if name == "consultation":
                assert before["notes"] == self._fields.get("consultation.notes")
                self._forget("consultation")
            elif not name.startswith("metadata"):
                self._changes(event.kind, name, before, after)
        self._seq = event.seq

    def finish(self) -> dict[str, Any]:
        self._apply_edits()
        return self._fields

    def _changes(self, kind: str, name: str, before: Any, after: Any) -> None:
        known = self._fields.get(name)
        fits = before == known or name == "reason" or (name == "softDeleted" and not before)
        assert fits, f"{kind} changed {name} from {before!r}; it was {known!r}"
        self._fields[name] = after

    def _apply_edits(self) -> None:
        for overwrite in self._overwrites:
            if overwrite.after_seq == self._seq:
                self._forget(*overwrite.forgets)
        for edit in self._edits:
            if edit.after_seq == self._seq:
                self._fields[edit.column] = edit.value

    def _forget(self, *firsts: str) -> None:
        for name in [each for each in self._fields if each.partition(".")[0] in firsts]:
            del self._fields[name]


def _as_recorded(value: Any) -> Any:
    if hasattr(value, "astimezone"):
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if hasattr(value, "isoformat") else value
