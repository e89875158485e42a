"""The providers in rows of the calendar. Pure."""

from collections.abc import Iterable, Mapping

from pims_pipeline.domain.records.resources import Resource, ResourceKind
from pims_pipeline.providers.parsing.fields import Fields


def parse_providers(rows: Iterable[object]) -> tuple[Resource, ...]:
    """The providers of the rows, each once, by name; rows without one are left out."""
    found: dict[str, Resource] = {}
    for row in rows:
        if isinstance(row, Mapping):
            provider = Fields(row, "providers").inside("provider")
            identity = provider.identity("id")
            if identity is not None:
                name = provider.text("name") or ""
                found[identity] = Resource(ResourceKind.PROVIDER, identity, name)
    return tuple(sorted(found.values(), key=lambda each: (each.name, each.id)))
