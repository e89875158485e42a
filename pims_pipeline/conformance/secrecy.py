"""Looks for the declared secrets of a provider in what it writes and raises."""

import traceback
from collections.abc import Callable, Iterable

from pims_pipeline.conformance.vendor import NotApplicable, PlayedVendor
from pims_pipeline.providers.port import Credentials


def secrets_of(vendor: PlayedVendor, credentials: Credentials) -> list[str]:
    """The values of the secret fields.

    Raises:
        AssertionError: If the provider declares none.
    """
    found = [credentials[name] for name in vendor.description.secret_fields]
    assert found, "the provider declares no secret field"
    return found


def assert_none_shown(secrets: Iterable[str], texts: Iterable[str]) -> None:
    """Fail if one of ``secrets`` is in one of ``texts``, without repeating either."""
    written = "\n".join(texts)
    shown = [number for number, secret in enumerate(secrets) if secret in written]
    assert not shown, "a secret is shown"


def error_text(work: Callable[[], object]) -> str:
    """The whole text of the error of ``work``, with its causes; empty if there is none."""
    try:
        work()
    except NotApplicable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, its text is examined
        return "".join(traceback.format_exception(error)) + repr(error)
    return ""
