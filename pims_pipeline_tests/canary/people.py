"""The canaries that the simulated vendor returns as clients, patients, vets, reasons and notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Self

import pytest

from pims_pipeline.simulator.practice import entries, generation, vocabulary
from pims_pipeline.simulator.practice.clinics import SimulatedClinic
from pims_pipeline_tests.canary.canaries import Canary, canary

_RECORDED = frozenset({"case_events.changes", "pims_appointments.payload"})
"""Columns that hold the vendor's record, and the changes of a case."""


@dataclass(frozen=True, slots=True)
class People:
    """The canaries in all personal data that the simulated vendor returns."""

    client: Canary
    phone: Canary
    email: Canary
    patient: Canary
    reason: Canary
    note: Canary
    vet: Canary

    @classmethod
    def new(cls) -> Self:
        """New canaries for one test."""
        return cls(
            client=canary("client", 'Žofie "{}" <O\'Hara>'),
            phone=canary("phone", "0151 {}"),
            email=canary("e-mail", "@{}.example"),
            patient=canary("patient", "{} & Söhne 🐾"),
            reason=canary("reason", "{}?"),
            note=canary("note", "100 % {}, said the owner"),
            vet=canary("vet", "Dr. {}"),
        )

    @property
    def homes(self) -> dict[Canary, frozenset[str]]:
        """The columns that hold each canary after a sync."""
        return {
            self.client: _RECORDED | {"cases.client_name"},
            self.phone: _RECORDED | {"cases.client_phone"},
            self.email: frozenset({"pims_appointments.payload"}),
            self.patient: _RECORDED | {"cases.patient_name", "cases.metadata"},
            self.reason: _RECORDED | {"cases.metadata"},
            self.vet: _RECORDED | {"cases.metadata"},
            self.note: frozenset({"case_events.changes", "cases.metadata"}),
        }

    @property
    def shown_by(self) -> dict[Canary, frozenset[str]]:
        """The commands and routes that show each canary to a client of the clinic."""
        history = {"printed by pims cases show", "response of GET /api/cases/{id}/provenance"}
        in_history = dict.fromkeys(
            (self.phone, self.reason, self.vet, self.note), frozenset(history)
        )
        named = frozenset({*history, "printed by pims cases list"})
        return {**in_history, self.client: named, self.patient: named, self.email: frozenset()}

    def fill_simulator(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make every generated calendar use these canaries alone."""
        note = self.note.text
        words: Mapping[str, Sequence[object]] = {
            "PET_NAMES": [self.patient.text],
            # The generator adds None to the choices: 1000 names make it rare.
            "PROVIDERS": [self.vet.text] * 1000,
            "REASONS": [self.reason.text],
            "DISCHARGES": [f"<p>{note} {{name}}</p>"],
            "DIAGNOSES": [(note, None), (f"{note}!", "N")],
            "PRODUCTS": [f"{note} {number}" for number in range(5)],
            **dict.fromkeys(("SUBJECTIVE", "OBJECTIVE", "ASSESSMENT", "PLAN"), [note] * 5),
        }
        for name, values in words.items():
            monkeypatch.setattr(vocabulary, name, values)
        # The original leaves some fields empty.
        monkeypatch.setattr(generation, "_client", self._client)

    def _client(self, _rng: Random, _clinic: SimulatedClinic, number: int) -> entries.Client:
        return entries.Client(
            id=number,
            first_name=self.client.text,
            last_name=self.client.text,
            email=f"client{number}{self.email.text}",
            phone=self.phone.text,
            phone_label=None,
        )
