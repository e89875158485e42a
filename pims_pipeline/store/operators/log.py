"""``operator_log``: what operators looked at and decided. Rows are only ever added."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.console.operators import OperatorAction


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an operator, and the address of the client.

    Attributes:
        operator_id: None for someone whose name no operator has.
    """

    operator_id: UUID | None
    address: str | None = None


def note_action(
    connection: Connection,
    actor: Actor,
    action: OperatorAction,
    *,
    clinic_id: UUID | None = None,
    case_id: UUID | None = None,
    details: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Add a line to the log, in the transaction of what it records.

    Args:
        connection: As the API's role or the console's.
        actor: Who acts.
        action: What is done.
        clinic_id: Where; None for what concerns no clinic.
        case_id: To which case, if to one.
        details: Ids, counts and a reason, that JSON can hold.
    """
    connection.execute(
        text(
            "SELECT pims_note_operator(:who, :clinic, :action, :case, CAST(:facts AS jsonb), :at)"
        ),
        {
            "who": actor.operator_id,
            "clinic": clinic_id,
            "action": action,
            "case": case_id,
            "facts": json.dumps(dict(details)),
            "at": actor.address,
        },
    )
