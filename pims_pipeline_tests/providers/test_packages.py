"""Packages of others: each problem is one line, and no other provider suffers from it."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pims_pipeline.providers.checking import UnusableProvider
from pims_pipeline.providers.credential_fields import CredentialField
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.port import Capability
from pims_pipeline.providers.registry import ENTRY_POINTS, Registry, UnknownProvider, registry
from pims_pipeline_tests.providers.fake import BareFakeProvider, FakeVendor
from pims_pipeline_tests.providers.packages import entries
from pims_pipeline_tests.providers.test_registry import CLINIC, options_in

MODULE = "a_package_of_others"
OF_OTHERS = "another_vendor"
API_KEY = CredentialField(name="api_key", label="API key", secret=True)
GOOD = ProviderDescription(
    type=OF_OTHERS,
    title="Another Vendor",
    credential_fields=(API_KEY,),
    build=lambda clinic, _: BareFakeProvider(FakeVendor(clinic.zone)),
    base_url_example="https://another.example",
)
THEIRS = replace(CLINIC, provider_type=OF_OTHERS)


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """The module of a package of others."""
    made = ModuleType(MODULE)
    sys.modules[MODULE] = made
    yield made
    del sys.modules[MODULE]


def entry(name: str = OF_OTHERS, value: str = f"{MODULE}:PROVIDER") -> EntryPoint:
    return EntryPoint(name, value, ENTRY_POINTS)


def with_ours(*others: EntryPoint) -> Registry:
    return Registry([OURS, *others])


OURS = EntryPoint(
    "idexx_neo", "pims_pipeline.providers.idexx_neo.description:PROVIDER", ENTRY_POINTS
)


def problem_of(found: object, module: ModuleType) -> str:
    """The problem of a package that exports ``found``; our provider is not affected."""
    module.__dict__["PROVIDER"] = found
    installed = with_ours(entry()).installed()
    assert [each.type for each in installed.providers] == ["idexx_neo"]
    (broken,) = installed.broken
    line = str(broken)
    assert "\n" not in line
    assert line.startswith(f"the provider 'another_vendor' of package {MODULE} cannot be used: ")
    return broken.problem


def test_a_package_of_others_is_a_provider_like_ours(module: ModuleType, tmp_path: Path) -> None:
    module.__dict__["PROVIDER"] = GOOD
    found = with_ours(entry())
    assert found.types == (OF_OTHERS, "idexx_neo")
    assert found.description(OF_OTHERS) is GOOD
    assert isinstance(found.build(THEIRS, options_in(tmp_path)), BareFakeProvider)


def test_the_version_of_a_package_is_known_where_it_was_installed(module: ModuleType) -> None:
    found = with_ours(entry(value=f"{module.__name__}:PROVIDER"))
    assert registry().package_version("idexx_neo") == version("pims-pipeline")
    assert found.package_version(OF_OTHERS) == "unknown"
    with pytest.raises(UnknownProvider):
        found.package_version("no_vendor")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"type": "other"}, "field 'type': it differs from the name of the entry point"),
        ({"title": 1}, "field 'title': it is not text of one line"),
        ({"title": "Two\nlines"}, "field 'title': it is not text of one line"),
        ({"build": None}, "field 'build': it cannot be called"),
        ({"modules": "name"}, "field 'modules': one of them is not text"),
        (
            {"capabilities": frozenset({"telepathy"})},
            "field 'capabilities': one of them is unknown to this version",
        ),
        ({"capabilities": [Capability.LOOKUP]}, "field 'capabilities': it is no frozenset"),
        (
            {"credential_fields": ["api_key"]},
            "field 'credential_fields': it is not a sequence of CredentialField",
        ),
        (
            {"credential_fields": (API_KEY, API_KEY)},
            "credential field 'api_key': it is declared 2 times",
        ),
    ],
)
def test_a_description_that_is_none_names_its_field(
    module: ModuleType, changed: dict[str, Any], problem: str
) -> None:
    assert problem_of(replace(GOOD, **changed), module) == problem


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("password", "Word"),
        ("api_key", "Word"),
        ("refresh_token", "Word"),
        ("client_secret", "Word"),
        ("passcode", "Word"),
        ("word", "Your Password"),
        ("word", "API key"),
    ],
)
def test_a_password_that_is_not_declared_secret_is_refused(
    module: ModuleType, name: str, label: str
) -> None:
    shown = CredentialField(name=name, label=label, secret=False)
    problem = problem_of(replace(GOOD, credential_fields=(shown,)), module)
    assert problem == (
        f"credential field {name!r}: it seems to be a password or a key, "
        "and is not declared as secret"
    )


@pytest.mark.parametrize("name", ["key_id", "company_id", "keyword", "username", "location_id"])
def test_an_open_field_may_have_an_innocent_name(module: ModuleType, name: str) -> None:
    shown = CredentialField(name=name, label="Word", secret=False)
    module.__dict__["PROVIDER"] = replace(GOOD, credential_fields=(shown,))
    assert with_ours(entry()).installed().broken == ()


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ({"name": "Api Key"}, "a name is lower-case letters, digits and underscores"),
        ({"pattern": "("}, "its pattern is not a regular expression"),
        ({"secret": "yes"}, "'secret' and 'required' are True or False"),
        ({"help": None}, "its name, label, help or pattern is not text of one line"),
        ({"label": "\x1b[2J"}, "its name, label, help or pattern is not text of one line"),
    ],
)
def test_a_credential_field_that_cannot_be_used_is_named(
    module: ModuleType, field: dict[str, Any], problem: str
) -> None:
    fields = (replace(API_KEY, **field),)
    assert problem_of(replace(GOOD, credential_fields=fields), module).endswith(problem)


def test_what_is_no_description_is_refused(module: ModuleType) -> None:
    problem = problem_of({"type": OF_OTHERS}, module)
    assert problem == "its entry point names a dict, not a ProviderDescription"


def _raise(_: object) -> None:
    raise RuntimeError("hunter2")


_RAISES_WHEN_READ = type("RaisesWhenRead", (ProviderDescription,), {"title": property(_raise)})
_HAS_NO_CLASS = type("HasNoClass", (), {"__class__": property(_raise)})


class _NeverEqual(str):
    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        raise SystemExit(3)

    __hash__ = str.__hash__


@pytest.mark.parametrize(
    "make",
    [
        lambda: object.__new__(_RAISES_WHEN_READ),
        _HAS_NO_CLASS,
        lambda: replace(GOOD, type=_NeverEqual(OF_OTHERS)),
    ],
)
def test_a_description_that_raises_when_it_is_read_hides_no_other(
    module: ModuleType, make: Callable[[], object]
) -> None:
    assert "hunter2" not in problem_of(make(), module)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        ("raise RuntimeError('hunter2')", "RuntimeError"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("PROVIDER", "NameError"),
        ("", "AttributeError"),
    ],
)
def test_a_package_that_fails_to_import_is_named_without_its_message(
    source: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_broken_package.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    installed = with_ours(entry(value="a_broken_package:PROVIDER")).installed()
    monkeypatch.delitem(sys.modules, "a_broken_package", raising=False)
    (broken,) = installed.broken
    assert str(broken) == (
        "the provider 'another_vendor' of package a_broken_package cannot be used: "
        f"a_broken_package:PROVIDER cannot be imported ({error})"
    )


def test_a_type_of_another_shape_is_refused() -> None:
    (broken,) = with_ours(entry(name="Another-Vendor")).installed().broken
    assert broken.problem.startswith("field 'type': a provider type is 2 to 40")


def test_a_type_that_two_packages_have_belongs_to_neither(tmp_path: Path) -> None:
    found = with_ours(entry(), entry(value="yet_another_package:PROVIDER"))
    assert found.types == ("idexx_neo",)
    assert [each.problem for each in found.installed().broken] == [
        f"field 'type': 'another_vendor' is registered by several: {MODULE}, yet_another_package"
    ] * 2
    with pytest.raises(UnusableProvider, match="registered by several"):
        found.build(THEIRS, options_in(tmp_path))


def test_no_package_takes_the_place_of_a_built_in_provider(module: ModuleType) -> None:
    module.__dict__["PROVIDER"] = replace(GOOD, type="idexx_neo")
    (ours,) = (each for each in entries() if each.name == "idexx_neo")
    found = Registry([entry(name="idexx_neo"), ours])
    assert found.description("idexx_neo").title == "IDEXX Neo"
    (broken,) = found.installed().broken
    assert broken.package == MODULE


def test_a_broken_package_is_not_imported_for_the_clinics_of_others(tmp_path: Path) -> None:
    found = with_ours(entry(value="no_such_module_at_all:PROVIDER"))
    found.build(CLINIC, options_in(tmp_path)).close()
    assert set(found._loaded) == {"idexx_neo"}
    with pytest.raises(UnusableProvider, match="ModuleNotFoundError"):
        found.build(THEIRS, options_in(tmp_path))


@pytest.mark.parametrize(
    ("built", "declared", "problem"),
    [
        (object(), (), "field 'build': the provider has no method 'watch'"),
        (None, (), "field 'build': the provider has no method 'watch'"),
        (
            BareFakeProvider(FakeVendor(CLINIC.zone)),
            (Capability.LOOKUP,),
            "field 'capabilities': the provider does not have 'lookup'",
        ),
    ],
)
def test_a_provider_without_what_the_port_needs_is_refused(
    module: ModuleType,
    tmp_path: Path,
    built: object,
    declared: tuple[Capability, ...],
    problem: str,
) -> None:
    changed: dict[str, Any] = {"build": lambda *_: built}
    module.__dict__["PROVIDER"] = replace(GOOD, capabilities=frozenset(declared), **changed)
    with pytest.raises(UnusableProvider) as refused:
        with_ours(entry()).build(THEIRS, options_in(tmp_path))
    assert str(refused.value).endswith(problem)


_RAISES_WHEN_ASKED = type("RaisesWhenAsked", (BareFakeProvider,), {"close": property(_raise)})


@pytest.mark.parametrize("error", [RuntimeError("hunter2"), SystemExit("hunter2"), None])
def test_a_builder_that_fails_is_named_without_its_message(
    module: ModuleType, tmp_path: Path, error: BaseException | None
) -> None:
    def build(*_: object) -> BareFakeProvider:
        if error is not None:
            raise error
        built: BareFakeProvider = _RAISES_WHEN_ASKED(FakeVendor(CLINIC.zone))
        return built

    module.__dict__["PROVIDER"] = replace(GOOD, build=build)
    with pytest.raises(UnusableProvider) as refused:
        with_ours(entry()).build(THEIRS, options_in(tmp_path))
    name = type(error or RuntimeError()).__name__
    assert str(refused.value).endswith(f"field 'build': it failed ({name})")


def test_without_any_entry_point_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnknownProvider, match="make setup"):
        Registry([]).build(CLINIC, options_in(tmp_path))
