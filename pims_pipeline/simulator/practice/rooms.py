"""The rooms and providers of a made-up clinic: their ids stay, their names may change.

A record keeps the name that its room or provider had at the start; what it is called at present is
decided here. How a vendor shows it belongs in ``vendors``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from zlib import crc32

from pims_pipeline.simulator.practice.vocabulary import PROVIDERS, ROOMS

_FIRST_ROOM_ID = 11
_FIRST_PROVIDER_ID = 1
_FIRST_UNLISTED_ID = 500


@dataclass(slots=True)
class Rooms:
    """What a clinic's rooms and providers are called now.

    Attributes:
        renamed: Present names by former name.
    """

    renamed: dict[str, str] = field(default_factory=dict)

    def shown(self, name: str | None) -> str | None:
        """The present name of the room or provider that was called ``name``."""
        return None if name is None else self.renamed.get(name, name)

    def room_id(self, name: str | None) -> int | None:
        """The room's id; the dictionary lists no room that is not a clinic's own."""
        return _id_in(ROOMS, name, _FIRST_ROOM_ID)

    def provider_id(self, name: str | None) -> int | None:
        """The provider's id."""
        return _id_in(PROVIDERS, name, _FIRST_PROVIDER_ID)

    def listed_rooms(self) -> Iterator[tuple[int, str]]:
        """The dictionary's rooms: ids and present names."""
        for number, name in enumerate(ROOMS):
            yield _FIRST_ROOM_ID + number, self.renamed.get(name, name)

    def listed_providers(self) -> Iterator[tuple[int, str]]:
        """The dictionary's providers."""
        for number, name in enumerate(PROVIDERS):
            yield _FIRST_PROVIDER_ID + number, self.renamed.get(name, name)

    def former_name(self, room_id: int) -> str | None:
        """What the dictionary's room with that id was called at the start; None if it has none."""
        place = room_id - _FIRST_ROOM_ID
        return ROOMS[place] if 0 <= place < len(ROOMS) else None


def _id_in(names: tuple[str, ...], name: str | None, first: int) -> int | None:
    if name is None:
        return None
    if name in names:
        return first + names.index(name)
    return _FIRST_UNLISTED_ID + crc32(name.encode()) % 400
