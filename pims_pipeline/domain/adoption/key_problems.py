"""Why no API key of a v4.0 installation is imported; each error says what to do.

Names and ids of keys are shown, never a key or its hash. Why a single key is left out belongs in
``api_keys``.
"""

from collections.abc import Sequence

from pims_pipeline.domain.errors import UserFacingError

_MOST_SHOWN = 20


class KeysNeedClinics(UserFacingError):
    """Keys name no clinic, and the operator named none for them.

    Args:
        keys: Name, id and user of each.
    """

    def __init__(self, keys: Sequence[tuple[str, str, str | None]]) -> None:
        named = [
            f"{name!r} ({key_id}, user {user_id})" if user_id else f"{name!r} ({key_id})"
            for name, key_id, user_id in keys
        ]
        super().__init__(
            "these keys name no clinic, and nothing was imported: "
            f"{_shown(named)}; name it with --user USER=SLUG, --key ID=SLUG, or --clinic SLUG for "
            "all of them, or leave them out with --skip-others"
        )


class UnknownOwner(UserFacingError):
    """The operator named a user or key that is not there.

    Args:
        ids: As the operator wrote them.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(
            f"no key without a clinic has the id, or the user, {_shown(ids)}; nothing was imported"
        )


class KeyOfAnotherClinic(UserFacingError):
    """A key would belong to two clinics."""

    def __init__(self, name: str, key_id: str) -> None:
        super().__init__(
            f"the key {name!r} ({key_id}) already belongs to another clinic, and a key belongs to "
            "one; nothing was imported: create a key for each clinic (pims keys create)"
        )


class KeysBeginAlike(UserFacingError):
    """More keys begin with the same characters than one request may be compared with."""

    def __init__(self, prefix: str, most: int) -> None:
        super().__init__(
            f"more than {most} keys begin with {prefix!r}, so that looking one up would take too "
            "long; nothing was imported: import fewer of them, and create the others here (pims "
            "keys create)"
        )


def _shown(names: Sequence[str]) -> str:
    more = len(names) - _MOST_SHOWN
    listed = ", ".join(names[:_MOST_SHOWN])
    return f"{listed} and {more} more" if more > 0 else listed
