"""Checks of what clinics' providers need: their vendors' hosts, and what logins need here."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.diagnosis.findings import DoctorFinding
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.http.reachability import Reached, origin_of, reach
from pims_pipeline.providers.registry import registry
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.store.clinics import active_clinics
from pims_pipeline.store.database.engine import transaction

HOST_SECONDS = 10.0
"""The timeout of one host."""
_AT_ONCE = 16
_SERVER_ERROR = 500


def check_vendors(installation: CheckedInstallation, stop: StopSignal) -> Iterator[DoctorFinding]:
    """Request the first page of each vendor's host, without a login."""
    clinics = _clinics(installation)
    for provider_type in sorted({each.provider_type for each in clinics}):
        try:
            title = registry().description(provider_type).title
        except UserFacingError as error:
            yield DoctorFinding.failed(str(error))
            continue
        yield from hosts(title, _origins(clinics, provider_type), stop)


def hosts(title: str, origins: Sequence[str], stop: StopSignal) -> Iterator[DoctorFinding]:
    """Which of a provider's hosts respond: one line for all that do, one for each other."""
    ask = partial(reach, stop=stop, seconds=HOST_SECONDS)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        results = list(zip(origins, pool.map(ask, origins), strict=True))
    reached = [origin for origin, each in results if not _problem(each)]
    if reached:
        named = reached[0] if len(reached) == 1 else f"{len(reached)} hosts"
        yield DoctorFinding.ok(f"{title}: {named} responded")
    for origin, each in results:
        if each.status is not None and _problem(each):
            yield DoctorFinding.warning(
                f"{title}: {origin} {_problem(each)}", "wait, or ask the vendor for its status"
            )
        elif problem := _problem(each):
            yield DoctorFinding.failed(
                f"{title}: {origin}: {problem}",
                "check the clinic's base URL, DNS, firewall and proxy (HTTPS_PROXY) of this host",
            )


def check_logins(installation: CheckedInstallation, stop: StopSignal) -> Iterator[DoctorFinding]:
    """Try what each provider's logins need of this machine: a browser that starts."""
    clinics = _clinics(installation)
    for provider_type in sorted({each.provider_type for each in clinics}):
        try:
            description = registry().description(provider_type)
        except UserFacingError:
            # Reported by the check of the vendors.
            continue
        yield from _tried(description, installation, stop)


def _tried(
    description: ProviderDescription, installation: CheckedInstallation, stop: StopSignal
) -> Iterator[DoctorFinding]:
    if description.try_login_tools is None:
        yield DoctorFinding.skipped(f"{description.title} logs in without a browser")
        return
    found = description.try_login_tools(installation.providers, stop)
    yield DoctorFinding.ok(f"{description.title}: {found}")


def _clinics(installation: CheckedInstallation) -> list[Clinic]:
    with transaction(installation.database()) as connection:
        return active_clinics(connection)


def _origins(clinics: Sequence[Clinic], provider_type: str) -> list[str]:
    return sorted(
        {
            origin_of(each.provider_base_url)
            for each in clinics
            if each.provider_type == provider_type
        }
    )


def _problem(result: Reached) -> str:
    """What is wrong with a host; empty if it responded as one that works."""
    if result.status is not None and result.status >= _SERVER_ERROR:
        return f"responded with status {result.status}"
    return result.problem
