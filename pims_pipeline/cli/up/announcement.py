"""The text that ``pims up`` prints once everything runs: addresses, the demo key, log files."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pims_pipeline.cli.demo.clinics import DEMO_SLUGS
from pims_pipeline.cli.up.addresses import Address
from pims_pipeline.local_trust.origins import is_loopback
from pims_pipeline.simulator.practice.clinics import (
    DEMO_CLINICS,
    DEMO_VENDORS,
    VETSPIRE_SIGN_IN,
    SimulatedClinic,
)

KEY_SLUG = DEMO_SLUGS["1001"]
"""The demo clinic that gets a key to the API."""

_WITHOUT_API = (
    "The REST API is not served: PIMS_API_DATABASE_URL does not name its login; "
    "run `pims serve` to see how to create one."
)
_TRY = (
    "Try: materialize `appointments` for a clinic and some days, then book, move or delete an "
    "appointment in the simulator and materialize it again."
)


def announcement(
    ui: Address,
    api: Address | None,
    vendor: Address | None,
    *,
    key: str | None,
    logs: Iterable[Path],
) -> str:
    """The text.

    Args:
        ui: The Dagster UI.
        api: The REST API; None if it is not served.
        vendor: The simulator; None without ``--demo``.
        key: A key to the API for ``KEY_SLUG``; a secret, shown on purpose.
        logs: The log file of each process.
    """
    lines = [
        *_about_ui(ui),
        *([_WITHOUT_API] if api is None else _about_api(api, key)),
        *([] if vendor is None else _about_vendor(vendor)),
        "Logs:",
        *(f"  {log}" for log in logs),
        "Ctrl-C stops everything.",
    ]
    return "\n".join(lines)


def _about_ui(ui: Address) -> Iterator[str]:
    yield ""
    yield f"Dagster UI: {ui.url}"
    if not is_loopback(ui.host):
        yield "  It asks for no password, and the network can reach it."


def _about_api(api: Address, key: str | None) -> Iterator[str]:
    yield f"REST API: {api.url} (its documentation: {api.url}/docs)"
    yield f"Console: {api.url}/console/ (add an operator: pims operators add)"
    if key is not None:
        yield f"  Key of {KEY_SLUG} while this runs: {key}"
        yield (
            f"  curl -X POST -H 'X-API-Key: {key}' -H 'Prefer: wait=60' {api.url}/api/sync/inbound"
        )


def _about_vendor(vendor: Address) -> Iterator[str]:
    yield f"Simulated {DEMO_VENDORS}: {vendor.url}"
    for each in DEMO_CLINICS:
        yield f"  {DEMO_SLUGS[each.company_id]}: {_account(each, vendor)}"
    yield _TRY


def _account(simulated: SimulatedClinic, vendor: Address) -> str:
    """How a person signs in to a clinic's calendar page."""
    person = f"user {simulated.username}, password {simulated.password}"
    if simulated.vendor == "vetspire":
        where = f"Vetspire, at {vendor.url}{VETSPIRE_SIGN_IN}"
        return f"{where}: location id {simulated.company_id}, {person}"
    return f"company id {simulated.company_id}, {person}"
