"""Adds a phase to the table in memory, and prints the places that lack it.

    python -m pims_pipeline_tests.phases.one_more_phase

It edits ``domain/phases.py`` as a developer would, before another module reads the table. Every
name of the new phase is different, so that a place that uses the wrong name lacks it.
"""

import importlib.util
import json
import sys
from pathlib import Path

TABLE = "pims_pipeline.domain.phases"
EDITS = {
    '"cases", "reconciliation"]': '"cases", "reconciliation", "billing"]',
    '"cases", "reconcile"]': '"cases", "reconcile", "bill"]',
    '"reconciliationResult"]': '"reconciliationResult", "billingResult"]',
    '    RECONCILIATION = "reconciliation"\n': (
        '    RECONCILIATION = "reconciliation"\n    BILLING = "billing"\n'
    ),
    "    }\n)\n\nSCOPES": """\
        Phase.BILLING: PhaseNames(
            summary="Put invoices on cases.",
            scope="bill",
            asset="invoices",
            job="invoice_sync",
            result="billingResult",
            looks_back=True,
            looks_ahead=False,
            schedule="30 * * * *",
            schedule_help="When invoices are fetched.",
        ),
    }
)

SCOPES""",
}


def add_phase() -> None:
    """Load the table with the new phase instead of the one on disk.

    Raises:
        ValueError: If the table has another shape than the edits expect.
    """
    spec = importlib.util.find_spec(TABLE)
    if spec is None or spec.origin is None:
        raise ValueError(f"{TABLE} is not a file")
    source = Path(spec.origin).read_text(encoding="utf-8")
    for before, after in EDITS.items():
        if source.count(before) != 1:
            raise ValueError(f"the table of phases does not have {before!r} once")
        source = source.replace(before, after)
    module = importlib.util.module_from_spec(spec)
    sys.modules[TABLE] = module
    exec(compile(source, spec.origin, "exec"), module.__dict__)  # noqa: S102 - our own module


def main() -> None:
    """Print the places, with the names that each lacks, as one JSON document."""
    add_phase()
    from pims_pipeline_tests.phases.phase_places import lacking  # noqa: PLC0415 - reads the table

    print(json.dumps(lacking()))  # noqa: T201 - what the program is for


if __name__ == "__main__":
    main()
