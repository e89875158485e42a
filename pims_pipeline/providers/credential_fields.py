"""The fields of a login, which each adapter declares, and the check of what a person enters.

No message holds a value: an open field may have been given the password by mistake.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.providers.port import Credentials

FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""The shape of a field's name."""


class CredentialsRefused(UserFacingError, ValueError):
    """What was entered is not what the adapter needs; the message names the fields only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialField:
    """One field of a clinic's login.

    Attributes:
        name: Its name in commands and in ``Credentials``, such as ``api_key``.
        label: Its name for people, such as "API key".
        secret: Whether nothing may show it: it is asked for at a hidden prompt, and redacted.
        required: Whether a login needs it.
        help: Where a person finds it, in a sentence.
        pattern: A regular expression that the whole value matches; None accepts any.
    """

    name: str
    label: str
    secret: bool
    required: bool = True
    help: str = ""
    pattern: str | None = None

    def matches(self, value: str) -> bool:
        """Whether ``value`` has the field's form."""
        return self.pattern is None or re.fullmatch(self.pattern, value) is not None


def checked_credentials(
    fields: Sequence[CredentialField], entered: Mapping[str, str]
) -> Credentials:
    """The credentials of what was entered, by field name. An empty value counts as absent.

    Raises:
        CredentialsRefused: If a field is unknown, missing or has another form. The message
            names the field and never its value.
    """
    declared = {each.name: each for each in fields}
    for name in entered:
        if name not in declared:
            known = ", ".join(declared)
            raise CredentialsRefused(f"there is no credential field {name!r}; there are: {known}")
    given = {name: value for name, value in entered.items() if value}
    for each in fields:
        if each.required and each.name not in given:
            raise CredentialsRefused(
                f"the credential field {each.name!r} ({each.label}) is missing"
            )
        if each.name in given and not each.matches(given[each.name]):
            hint = f": {each.help}" if each.help else ""
            raise CredentialsRefused(
                f"the credential field {each.name!r} ({each.label}) does not have the form of "
                f"one{hint}"
            )
    return Credentials(given)
