"""Which rooms, columns and providers of a clinic's calendar are synced: showing and choosing them.

What a filter means belongs in ``domain/records/resources.py``; the next sync applies it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.clinics import Clinic, DateRange, business_date
from pims_pipeline.domain.records.resource_choices import (
    Counted,
    FilterEffect,
    LeavesOutEverything,
    effect_of,
)
from pims_pipeline.domain.records.resources import (
    Resource,
    ResourceFilter,
    ResourceKind,
    ids_by_name,
    is_readable,
    with_identity,
)
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.providers.port import Capability, ListsResources, PimsError, PimsProvider
from pims_pipeline.store.clinics import clinic_by_slug, schedule_config, set_resources
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.queries.resources import LandedGroup, landed_groups
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import ProviderFactory, SyncContext
from pims_pipeline.sync.session import clinic_session
from pims_pipeline.sync.windows import default_window

log = get_logger(__name__)


class ResourcesNotListed(PimsError):
    """The clinic's provider has no list of rooms, columns and providers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUse:
    """A resource of a clinic's calendar.

    Attributes:
        key: Its name in filters, such as ``room:11``.
        name: What the vendor calls it; empty where its dictionary lacks it.
        is_listed: Whether it is in the vendor's dictionary.
        appointments: How many known appointments of the window have it.
        is_synced: Whether an appointment with this resource alone is synced.
    """

    key: str
    name: str
    is_listed: bool
    appointments: int
    is_synced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceOverview:
    """A clinic's resources, which of them are synced, and what that does.

    Attributes:
        clinic: With its filter.
        window: The dates that a reconciliation covers now.
        uses: By name.
        effect: On the known appointments of the window.
    """

    clinic: Clinic
    window: DateRange
    uses: Sequence[ResourceUse]
    effect: FilterEffect


def vendor_resources(
    engine: Engine, vault: Vault, slug: str, open_provider: ProviderFactory, *, run_id: str
) -> tuple[Resource, ...]:
    """The clinic's resources in the vendor's dictionary.

    Args:
        engine: The database of cases.
        vault: Decrypts the login.
        slug: The clinic's.
        open_provider: Returns the clinic's provider.
        run_id: The access log's entry in place of a run id.

    Raises:
        UnknownClinic: If the clinic does not exist.
        NoCredentials: If it has no login.
        ResourcesNotListed: If its provider has no such list.
        PimsError: If the vendor cannot be reached.
    """

    def listed(provider: PimsProvider) -> tuple[Resource, ...]:
        return provider.list_resources() if isinstance(provider, ListsResources) else ()

    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
    with run_liveness(engine) as liveness:
        context = SyncContext(
            engine=engine,
            vault=vault,
            open_provider=open_provider,
            run_id=run_id,
            liveness=liveness,
        )
        with clinic_session(context, clinic) as session:
            if not session.has(Capability.RESOURCES):
                raise ResourcesNotListed(
                    f"the provider {clinic.provider_type} of {slug} does not list rooms, columns "
                    "and providers; those of known appointments can be chosen by their ids"
                )
            return session.request(listed)


def show_resources(
    engine: Engine,
    slug: str,
    dictionary: Sequence[Resource],
    *,
    now: datetime,
    earliest: date,
) -> ResourceOverview:
    """The clinic's resources: those in the dictionary, those seen, those in its filter.

    Args:
        engine: The database of cases.
        slug: The clinic's.
        dictionary: See ``vendor_resources``.
        now: The present time, aware.
        earliest: The first date that can be synced.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        return _overview(connection, clinic, dictionary, now, earliest)


def choose_resources(
    engine: Engine,
    slug: str,
    dictionary: Sequence[Resource],
    choose: Callable[[ResourceOverview], ResourceFilter],
    *,
    now: datetime,
    earliest: date,
    leaves_out_everything: bool = False,
) -> ResourceOverview:
    """Replace which resources are synced; the overview shows the effect of the next sync.

    Args:
        engine: The database of cases.
        slug: The clinic's.
        dictionary: See ``vendor_resources``.
        choose: Returns the new filter; raises if it cannot.
        now: The present time, aware.
        earliest: The first date that can be synced.
        leaves_out_everything: Whether no known appointment needs to remain.

    Raises:
        UnknownClinic: If the clinic does not exist.
        LeavesOutEverything: If no known appointment remains.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        before = _overview(connection, clinic, dictionary, now, earliest)
        changed = replace(clinic, resources=choose(before))
        after = _overview(connection, changed, dictionary, now, earliest)
        if after.effect.leaves_nothing and not leaves_out_everything:
            raise LeavesOutEverything(
                f"each of the {after.effect.appointments} known appointments of {slug} from "
                f"{after.window.start} to {after.window.end} would be left out, so nothing was "
                "changed; add --leave-out-everything if that is meant"
            )
        if changed.resources != clinic.resources:
            set_resources(connection, clinic, changed.resources)
            log.info(
                "resources_chosen",
                clinic=slug,
                left_out=after.effect.left_out,
                appointments=after.effect.appointments,
            )
        return after


def _overview(
    connection: Connection,
    clinic: Clinic,
    dictionary: Sequence[Resource],
    now: datetime,
    earliest: date,
) -> ResourceOverview:
    config = schedule_config(connection, clinic)
    today = business_date(now, clinic.zone)
    window = default_window("reconcile", today, config, earliest=earliest)
    counted = _counted(landed_groups(connection, clinic, window), dictionary)
    return ResourceOverview(
        clinic=clinic,
        window=window,
        uses=_uses(clinic, dictionary, counted),
        effect=effect_of(clinic.resources, counted),
    )


def _counted(groups: Sequence[LandedGroup], dictionary: Sequence[Resource]) -> list[Counted]:
    """The landed appointments, with the ids of providers that they only call by name."""
    ids = ids_by_name(dictionary, ResourceKind.PROVIDER)
    return [
        Counted(
            resources=with_identity(each.resources, ResourceKind.PROVIDER, each.provider, ids),
            appointments=each.appointments,
            active_cases=each.active_cases,
        )
        for each in groups
    ]


def _uses(
    clinic: Clinic, dictionary: Sequence[Resource], counted: Sequence[Counted]
) -> list[ResourceUse]:
    names = {each.key: each.name for each in dictionary}
    used: Counter[str] = Counter()
    for each in counted:
        used.update({key: each.appointments for key in each.resources or () if is_readable(key)})
    return [
        ResourceUse(
            key=key,
            name=names.get(key, ""),
            is_listed=key in names,
            appointments=used[key],
            is_synced=not clinic.resources.leaves_out((key,)),
        )
        for key in sorted({*names, *used, *clinic.resources.named})
    ]
