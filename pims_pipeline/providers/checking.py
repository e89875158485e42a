"""Checks of a provider's package: what its entry point names, and what that builds.

A package is other people's code: nothing of what it raises or returns is trusted, and no message
quotes it. Each problem is one line with the package and the field.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint

from pims_pipeline.domain.clinics import PROVIDER_TYPE_PATTERN, Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.words import Words
from pims_pipeline.providers.credential_fields import FIELD_NAME, CredentialField
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.options import ProviderOptions
from pims_pipeline.providers.port import Capability, PimsProvider, capabilities_of

_SECRET_WORDS = frozenset(
    {
        "apikey",
        "authorization",
        "bearer",
        "credential",
        "pass",
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "pin",
        "pw",
        "pwd",
        "secret",
        "token",
    }
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_METHODS = ("watch", "authenticate", "fetch_appointments", "fetch_consultation", "close")


class UnusableProvider(UserFacingError):
    """A clinic's provider cannot be used; the clinics of other providers are synced."""


@dataclass(frozen=True, slots=True)
class BrokenProvider:
    """A provider that cannot be used.

    Attributes:
        name: The name of its entry point.
        package: The package that has the entry point.
        problem: What is wrong, naming the field.
    """

    name: str
    package: str
    problem: str

    @classmethod
    def of(cls, entry: EntryPoint, problem: str) -> "BrokenProvider":
        """The provider of an entry point."""
        return cls(entry.name, package_of(entry), problem)

    def __str__(self) -> str:
        return (
            f"the provider {self.name!r} of package {self.package} cannot be used: {self.problem}"
        )

    def error(self) -> UnusableProvider:
        """An error to raise where the provider is needed."""
        return UnusableProvider(str(self))


def package_of(entry: EntryPoint) -> str:
    """The name of the package that has the entry point."""
    return entry.value.partition(":")[0] if entry.dist is None else entry.dist.name


def checked_description(entry: EntryPoint) -> ProviderDescription | BrokenProvider:
    """The description that the entry point names, or why it cannot be used."""
    if PROVIDER_TYPE_PATTERN.fullmatch(entry.name) is None:
        return BrokenProvider.of(entry, f"field 'type': {_SHAPE}")
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code
        return BrokenProvider.of(
            entry, f"{entry.value} cannot be imported ({type(error).__name__})"
        )
    try:
        problem = next(_problems(entry.name, found), None)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
        problem = f"its description cannot be read ({type(error).__name__})"
    return found if problem is None else BrokenProvider.of(entry, problem)


def checked_provider(
    entry: EntryPoint, description: ProviderDescription, clinic: Clinic, options: ProviderOptions
) -> PimsProvider:
    """The clinic's provider as its package builds it.

    Raises:
        UnusableProvider: If it cannot be built, or lacks a method of the port or of a capability
            that it declares.
    """
    problem: str | None = None
    try:
        built = description.build(clinic, options)
        problem = _lacks(built, description.capabilities)
    except UserFacingError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code
        built, problem = None, f"field 'build': it failed ({type(error).__name__})"
    if problem is not None or built is None:
        nothing = "field 'build': it returned nothing"
        raise BrokenProvider.of(entry, problem or nothing).error()
    return built


_SHAPE = "a provider type is 2 to 40 lower-case letters, digits and underscores"


def _problems(name: str, found: object) -> Iterator[str]:
    """What is wrong with what an entry point names; one problem may hide others."""
    # Not one of a subclass: its fields could be anything, and change later.
    if type(found) is not ProviderDescription:
        yield f"its entry point names a {type(found).__name__}, not a ProviderDescription"
        return
    if found.type != name:
        yield "field 'type': it differs from the name of the entry point"
    for field in ("title", "base_url_example", "docs", "conformance"):
        if not _is_line(getattr(found, field)):
            yield f"field {field!r}: it is not text of one line"
    yield from _function_problems(found)
    capabilities: object = found.capabilities
    if not isinstance(capabilities, frozenset):
        yield "field 'capabilities': it is no frozenset"
    if not all(isinstance(each, Capability) for each in _items(capabilities)):
        yield "field 'capabilities': one of them is unknown to this version"
    words: object = found.words
    if not isinstance(words, Words):
        yield "field 'words': it is no Words"
    if not all(isinstance(each, str) for each in _items(found.modules)):
        yield "field 'modules': one of them is not text"
    yield from _field_problems(found.credential_fields)


def _function_problems(found: ProviderDescription) -> Iterator[str]:
    functions: Mapping[str, object] = {
        "build": found.build,
        "try_login_tools": found.try_login_tools or found.build,
    }
    for field, function in functions.items():
        if not callable(function):
            yield f"field {field!r}: it cannot be called"


def _is_line(value: object) -> bool:
    """Whether the value is text that cannot disturb a terminal, a message or a table."""
    return type(value) is str and all(map(str.isprintable, value))


def _items(values: object) -> Sequence[object]:
    """The items of a collection of others; one that is no collection has one unusable item."""
    return tuple(values) if isinstance(values, list | tuple | frozenset | set) else (None,)


def _field_problems(fields: object) -> Iterator[str]:
    items = _items(fields)
    declared = [each for each in items if isinstance(each, CredentialField)]
    if len(declared) < len(items):
        yield "field 'credential_fields': it is not a sequence of CredentialField"
        return
    for each in declared:
        problem = _field_problem(each)
        if problem is not None:
            yield f"credential field {each.name!r}: {problem}"
    for name, times in Counter(each.name for each in declared).items():
        if times > 1:
            yield f"credential field {name!r}: it is declared {times} times"


def _field_problem(field: CredentialField) -> str | None:
    texts: tuple[object, ...] = (field.name, field.label, field.help, field.pattern or "")
    if not all(map(_is_line, texts)):
        return "its name, label, help or pattern is not text of one line"
    if FIELD_NAME.fullmatch(field.name) is None:
        return "a name is lower-case letters, digits and underscores"
    flags: tuple[object, ...] = (field.secret, field.required)
    if not all(isinstance(each, bool) for each in flags):
        return "'secret' and 'required' are True or False"
    if not field.secret and _seems_secret(field):
        return "it seems to be a password or a key, and is not declared as secret"
    try:
        re.compile(field.pattern or "")
    except re.error:
        return "its pattern is not a regular expression"
    return None


def _seems_secret(field: CredentialField) -> bool:
    """Whether the name or label is that of a password, a key or a token."""
    for text in (field.name, field.label):
        words = [word.lower() for word in _WORDS.findall(text)]
        if not _SECRET_WORDS.isdisjoint(words) or (words and words[-1] == "key"):
            return True
    return False


def _lacks(built: object, declared: frozenset[Capability]) -> str | None:
    """Which method or capability the built provider lacks."""
    for method in _METHODS:
        if not callable(getattr(built, method, None)):
            return f"field 'build': the provider has no method {method!r}"
    missing = sorted(declared - capabilities_of(built))
    if missing:
        return f"field 'capabilities': the provider does not have {missing[0].value!r}"
    return None
