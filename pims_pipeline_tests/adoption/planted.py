"""A v4.0 installation with planted rows, in either layout. Synthetic, as are the layouts.

Add a kind of row here when a test needs one. ``plant_clinic`` plants a clinic that has everything:
duplicates, shifted times, wrongly retired cases, an encrypted login, a schedule.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import psycopg
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import make_url

from pims_pipeline.domain.adoption.v4 import Layout

SCHEMAS = {Layout.DEPLOYED: "theirs", Layout.DOCUMENTED: "documented"}
"""Where each layout is in the databases of tests."""
SCHEMA = SCHEMAS[Layout.DEPLOYED]
KEY_ID = "prod"
KEY_VARIABLE = "IDEXX_ENCRYPTION_KEY_PROD"
KEY = "a v4.0 key"
LOGIN = {"username": "vet@example.test", "password": "correct horse", "company_id": "1001"}
_LAYOUTS = Path(__file__).parent / "layouts"


def v4_encrypted(text: str, *, key_id: str = KEY_ID, key: str = KEY) -> bytes:
    """The scheme of the v4.0 service, written without the program's own implementation."""
    derived = hashlib.pbkdf2_hmac("sha256", key.encode(), key_id.encode(), 100_000, 32)
    iv = os.urandom(12)
    encryptor = Cipher(algorithms.AES(derived), modes.GCM(iv)).encryptor()
    sealed = encryptor.update(text.encode()) + encryptor.finalize()
    return iv + encryptor.tag + sealed


class V4Installation:
    """The tables of a layout in a schema, and short ways to plant rows in them."""

    def __init__(self, url: str, layout: Layout, schema: str | None = None) -> None:
        """Open those of the layout's own schema; create them first where they do not exist."""
        self.layout, self.schema = layout, schema or SCHEMAS[layout]
        plain = make_url(url).set(drivername="postgresql")
        self._connection = psycopg.connect(
            plain.render_as_string(hide_password=False), autocommit=True
        )
        name = sql.Identifier(self.schema)
        self._connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
        self._connection.execute(sql.SQL("SET search_path = {}").format(name))
        if self.run("SELECT to_regclass('cases')") == [(None,)]:
            tables = (_LAYOUTS / f"{layout}.sql").read_text(encoding="utf-8")
            own_path = tables.replace("search_path = public", f'search_path = "{self.schema}"')
            self._connection.execute(own_path.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    @property
    def is_deployed(self) -> bool:
        return self.layout is Layout.DEPLOYED

    def run(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Execute a statement, with their schema first in the search path."""
        cursor = self._connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []

    def insert(self, table: str, **values: object) -> None:
        """Insert a row; dictionaries and lists of them become jsonb."""
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join([sql.Placeholder()] * len(values)),
        )
        adapted = [
            Jsonb(value) if isinstance(value, dict | list) else value for value in values.values()
        ]
        self._connection.execute(statement, adapted)

    def clinic(
        self, slug: str | None = "riverbend", *, timezone: str | None = "America/New_York"
    ) -> UUID:
        """A clinic, with the word for IDEXX where the layout has one."""
        clinic_id = uuid4()
        more = {"pims_type": "idexx"} if self.is_deployed else {}
        self.insert("clinics", id=clinic_id, name="Riverbend", slug=slug, timezone=timezone, **more)
        return clinic_id

    def case(
        self,
        clinic_id: UUID | None,
        external_id: str | None,
        at: datetime | None,
        *,
        status: str = "draft",
        case_type: str = "checkup",
        source: str = "pims:idexx-neo",
        metadata: Mapping[str, Any] | None = None,
        patient: str = "Rex",
        created_at: datetime | None = None,
    ) -> UUID:
        """A case with its patient; ``at`` is aware, its date in UTC counts in the other layout."""
        case_id = uuid4()
        shared = {
            "id": case_id,
            "clinic_id": clinic_id,
            "status": status,
            "metadata": dict(metadata or {}),
            "created_at": created_at or datetime(2026, 1, 1, tzinfo=UTC),
        }
        if not self.is_deployed:
            self.insert(
                "cases",
                **shared,
                pims_id=external_id,
                scheduled_date=at.date() if at else None,
                case_type=case_type,
                patient_name=patient,
                client_name="Ann Example",
            )
            return case_id
        self.insert(
            "cases",
            **shared,
            external_id=external_id,
            source=source,
            scheduled_at=at,
            type=case_type,
        )
        self.insert(
            "patients",
            case_id=case_id,
            clinic_id=clinic_id,
            name=patient,
            species="Canine",
            owner_name="Ann Example",
            owner_phone="555-0100",
        )
        return case_id

    def external_id(self, appointment_id: str) -> str:
        """What the v4.0 service calls the case of an appointment."""
        return f"pims-appt-idexx-neo-{appointment_id}" if self.is_deployed else appointment_id

    def note(self, case_id: UUID) -> None:
        """A row of the application that refers to the case."""
        self.insert("notes" if self.is_deployed else "case_notes", case_id=case_id, body="a note")

    def audit(self, clinic_id: UUID, status: str) -> None:
        """An inbound sync of the v4.0 service."""
        self.insert("case_sync_audits", clinic_id=clinic_id, sync_type="inbound", status=status)

    def login(
        self,
        clinic_id: UUID,
        fields: Mapping[str, str | None] = LOGIN,
        *,
        key_id: str = KEY_ID,
        key: str = KEY,
        is_active: bool = True,
        updated_at: datetime | None = None,
    ) -> None:
        """Credentials, encrypted with that key."""
        shared = {
            "clinic_id": clinic_id,
            "encryption_key_id": key_id,
            "is_active": is_active,
            "updated_at": updated_at or datetime(2026, 1, 1, tzinfo=UTC),
        }
        if self.is_deployed:
            sealed = {
                f"{name}_encrypted": None
                if value is None
                else v4_encrypted(value, key_id=key_id, key=key)
                for name, value in fields.items()
            }
            self.insert("idexx_credentials", **shared, **sealed)
            return
        document = {
            "username": fields["username"],
            "password": fields["password"],
            "practiceId": fields["company_id"],
        }
        self.insert(
            "pims_credentials",
            **shared,
            provider_type="idexx_neo",
            encrypted_data=v4_encrypted(json.dumps(document), key_id=key_id, key=key),
        )

    def schedule(self, clinic_id: UUID, crons: Mapping[str, str], **more: object) -> None:
        """A schedule in the layout's own shape."""
        if self.is_deployed:
            entries = [
                {"type": name, "cron": cron, "enabled": True} for name, cron in crons.items()
            ]
            self.insert(
                "clinic_schedule_config", clinic_id=clinic_id, sync_schedules=entries, **more
            )
        else:
            self.insert("clinic_schedule_configs", clinic_id=clinic_id, sync_schedules=dict(crons))

    def many_cases(self, clinic_id: UUID, number: int, at: datetime) -> None:
        """That many cases of appointments ``1``, ``2``, …, ten minutes apart, with patients."""
        words = {"status": "Confirmed", "appointmentType": "Exam", "provider": "Dr. Example"}
        metadata = json.dumps({"pimsAppointment": words, "canonical_patient_id": "p-1"})
        if not self.is_deployed:
            self.run(
                "INSERT INTO cases (clinic_id, pims_id, patient_name, client_name, scheduled_date, "
                "metadata) SELECT %s, n::text, 'Rex', 'Ann Example', "
                "(%s + n * interval '10 minutes')::date, %s::jsonb "
                "FROM generate_series(1, %s) AS n",
                clinic_id,
                at,
                metadata,
                number,
            )
            return
        self.run(
            "INSERT INTO cases (clinic_id, external_id, source, scheduled_at, metadata) "
            "SELECT %s, 'pims-appt-idexx-neo-' || n, 'pims:idexx-neo', "
            "%s + n * interval '10 minutes', %s::jsonb FROM generate_series(1, %s) AS n",
            clinic_id,
            at,
            metadata,
            number,
        )
        self.run(
            "INSERT INTO patients (case_id, clinic_id, name, species, owner_name, owner_phone) "
            "SELECT id, clinic_id, 'Rex', 'Canine', 'Ann Example', '555-0100' FROM cases "
            "WHERE clinic_id = %s AND NOT EXISTS (SELECT FROM patients WHERE case_id = cases.id)",
            clinic_id,
        )

    def checksum(self) -> dict[str, str]:
        """Of every table: its columns and all of its rows."""
        tables = self.run(
            "SELECT c.relname, string_agg(a.attname || ' ' || a.atttypid::regtype, ',' "
            "ORDER BY a.attnum) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relnamespace = quote_ident(%s)::regnamespace AND c.relkind = 'r' "
            "AND a.attnum > 0 GROUP BY 1",
            self.schema,
        )
        sums = {}
        for table, columns in tables:
            ((rows,),) = self.run(
                f"SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) "  # noqa: S608 - its own name
                f'FROM "{table}" AS t'
            )
            sums[table] = f"{columns} {rows}"
        return sums


@dataclass(frozen=True)
class PlantedClinic:
    """A clinic of ``plant_clinic``, and its cases by what is special about them.

    The appointment of a case has the number that its comment says.
    """

    id: UUID
    plain: UUID  # 1: words, own keys of the application
    shifted: UUID  # 2: two hours later than at the vendor, as the server's zone made it
    retired: UUID  # 3: retired, although its appointment exists
    replaced: UUID  # 4: metadata replaced whole; a person set its status
    duplicates: tuple[UUID, UUID]  # 5: the first one is referred to, the second one is newer
    older: UUID  # 6: an older external id; whole consultation
    broken: UUID  # 7: a consultation without an id
    by_people: UUID  # of no appointment

    @property
    def linked(self) -> dict[str, UUID]:
        """By appointment the case that is linked."""
        return {
            "1": self.plain,
            "2": self.shifted,
            "3": self.retired,
            "4": self.replaced,
            "5": self.duplicates[0],
            "6": self.older,
            "7": self.broken,
        }


def words(status: str, appointment_type: str = "Exam") -> dict[str, Any]:
    """``metadata.pimsAppointment`` as the v4.0 service keeps it."""
    return {
        "appointmentId": "as the vendor has it",
        "status": status,
        "appointmentType": appointment_type,
        "provider": {"id": 4, "name": "Dr. Example"},
        "room": None,
        "reason": "Annual examination",
    }


def consultation(appointment_id: str, **changes: object) -> dict[str, Any]:
    """``metadata.pimsConsultation`` as the v4.0 service keeps it."""
    return {
        "appointmentId": appointment_id,
        "consultationId": 7006,
        "soapNotes": {"subjective": "Bright and alert.", "plan": "Recheck in a week."},
        "vitals": {"temperature": 101.5},
        **changes,
    }


def plant_clinic(theirs: V4Installation, day: date, slug: str = "riverbend") -> PlantedClinic:
    """A clinic with a login, a schedule, and a case of each kind on ``day``, in New York.

    Appointment N is at 8 + N o'clock there (UTC-4).
    """
    clinic_id = theirs.clinic(slug)
    theirs.login(clinic_id)
    theirs.schedule(clinic_id, {"inbound": "*/20 * * * *", "reconciliation": "0 3 * * *"})
    theirs.audit(clinic_id, "completed")
    theirs.audit(clinic_id, "in_progress")

    def at(number: int) -> datetime:
        return datetime(day.year, day.month, day.day, 12 + number, tzinfo=UTC)

    def case(number: int, **more: Any) -> UUID:
        return theirs.case(clinic_id, theirs.external_id(str(number)), at(number), **more)

    own = {"starred": True, "entities": {"drugs": ["A"]}, "canonical_patient_id": "p-77"}
    mark = {"deleted": True, "deletedAt": "2026-01-05T00:00:00Z", "reason": "not in the calendar"}
    confirmed = {"pimsAppointment": words("Confirmed")}
    referred = case(5, metadata=confirmed)
    theirs.note(referred)
    newer = datetime(2026, 2, 1, tzinfo=UTC)
    return PlantedClinic(
        id=clinic_id,
        plain=case(1, status="ongoing", metadata={**confirmed, **own}),
        shifted=theirs.case(
            clinic_id, theirs.external_id("2"), at(2) + timedelta(hours=2), metadata=confirmed
        ),
        retired=case(3, status="reviewed", metadata={**confirmed, "reconciliation": mark}),
        replaced=case(4, status="reviewed", case_type="surgery", metadata={"note": "by hand"}),
        duplicates=(
            referred,
            theirs.case(clinic_id, "idexx-appt-5", at(5), metadata=confirmed, created_at=newer),
        ),
        older=theirs.case(
            clinic_id,
            "idexx-appt-6",
            at(6),
            source="idexx_neo",
            status="completed",
            metadata={
                "pimsAppointment": words("Paid"),
                "pimsConsultation": consultation("6"),
            },
        ),
        broken=case(
            7,
            metadata={**confirmed, "pimsConsultation": consultation("7", consultationId=None)},
        ),
        by_people=theirs.case(clinic_id, None, at(1), source="manual"),
    )


def keys(name: str) -> str | None:
    """The environment of a command that imports the planted logins."""
    return {KEY_VARIABLE: KEY}.get(name)
