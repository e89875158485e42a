"""Sends GraphQL to the simulated Vetspire, as an adapter does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2

from pims_pipeline.simulator.practice.clinics import VETSPIRE_CLINICS, SimulatedClinic

CHICAGO, CATS, AUCKLAND = VETSPIRE_CLINICS

LISTING = """
query ($loc: ID!, $start: DateTime, $end: DateTime, $limit: Int, $offset: Int,
       $completed: Boolean, $deleted: Boolean) {
  appointments(locationId: $loc, start: $start, end: $end, limit: $limit, offset: $offset,
               includeCompleted: $completed, onlyDeleted: $deleted) {
    id start duration status isConfirmed bookedOnline reason note deleted insertedAt updatedAt
    type { id name } provider { id name } location { id } encounters { id }
    patient { id name species breed
              client { id givenName familyName email phoneNumbers { value preferred } } } } }
"""
ENCOUNTER = """
query ($id: ID!) { encounter(id: $id) {
  id appointment { id } patient { id } provider { id name } start title signed signedDatetime
  sections { name data { value label } } subjective { value } objective { value }
  assessment { value } plan { value } problems { id name } medications { id } treatments { id }
  vitals { id datetime temp heartRate respRate weight weightUnit } updatedAt } }
"""
LOOKUP = "query ($id: ID!) { appointment(id: $id) { id status deleted start location { id } } }"


@dataclass(frozen=True, slots=True)
class Vetspire:
    """A client with one organisation's key."""

    http: httpx2.Client

    def send(self, query: str, **variables: object) -> httpx2.Response:
        return self.http.post("/graphql", json={"query": query, "variables": variables})

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The data of a response without errors."""
        response = self.send(query, **variables)
        assert response.status_code == 200, response.text
        content: dict[str, Any] = response.json()
        assert "errors" not in content, content
        data: dict[str, Any] = content["data"]
        return data

    def day(self, clinic: SimulatedClinic, day: date, **asked: object) -> list[dict[str, Any]]:
        """One page of a clinic's day, finished appointments included."""
        wanted = {"completed": True, "loc": clinic.company_id} | window(clinic.zone, day) | asked
        rows: list[dict[str, Any]] = self.ask(LISTING, **wanted)["appointments"]
        return rows


def window(zone: ZoneInfo, day: date, days: int = 1) -> dict[str, str]:
    """From one midnight of the clinic to another, with offsets."""
    first = datetime.combine(day, time(), zone)
    last = datetime.combine(day + timedelta(days=days), time(), zone)
    return {"start": first.isoformat(), "end": last.isoformat()}


def instant(shown: str) -> datetime:
    """A time of a response, in UTC; without an offset it is UTC already."""
    moment = datetime.fromisoformat(shown)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def vetspire_client(base_url: str, key: str = CHICAGO.api_key) -> Iterator[Vetspire]:
    """A client that sends ``key``, bare."""
    headers = {"Authorization": key}
    with httpx2.Client(base_url=base_url, timeout=10, trust_env=False, headers=headers) as client:
        yield Vetspire(client)
