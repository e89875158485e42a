"""Packages of others, as they are found beside ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points

import pytest

from pims_pipeline.providers import registry as registry_module
from pims_pipeline.providers.registry import ENTRY_POINTS, registry

BROKEN = EntryPoint("another_vendor", "no_such_package_at_all.description:PROVIDER", ENTRY_POINTS)
BROKEN_LINE = (
    "the provider 'another_vendor' of package no_such_package_at_all.description cannot be used: "
    "no_such_package_at_all.description:PROVIDER cannot be imported (ModuleNotFoundError)"
)


def entries() -> list[EntryPoint]:
    """The entry points that are installed here."""
    return list(entry_points(group=ENTRY_POINTS))


@contextmanager
def installed_beside(*others: EntryPoint) -> Iterator[None]:
    """In the block, these are installed too."""
    ours = entries()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry_module, "entry_points", lambda **_: [*ours, *others])
        registry.cache_clear()
        yield
    registry.cache_clear()
