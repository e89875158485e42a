"""Browsers of operators: a client of the console that is signed in, and what it sends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from httpx2 import Response
from starlette.testclient import TestClient

from pims_pipeline.domain.console.operators import OperatorRole

ADDRESS = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"
OWN_PAGE: Mapping[str, str] = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


@dataclass(frozen=True)
class Browser:
    """A browser that follows no redirect by itself."""

    client: TestClient

    def get(self, path: str, **headers: str) -> Response:
        """Open a page of the console."""
        return self.client.get(f"/console{path}", headers=headers)

    def send(self, path: str, headers: Mapping[str, str] = OWN_PAGE, **fields: str) -> Response:
        """Send a form to the console."""
        return self.client.post(f"/console{path}", data=fields, headers=dict(headers))

    def sign_in(self, name: str, password: str = PASSWORD, **fields: str) -> Response:
        """Send the form of the sign-in page."""
        return self.send("/sign-in", OWN_PAGE, name=name, password=password, **fields)

    def token(self) -> str:
        """What the forms of this sign-in carry."""
        found = _TOKEN.search(self.get("/").text)
        assert found is not None
        return found[1]


class SignIn(Protocol):
    """Adds an operator with a role, at these clinics or at all, and signs in."""

    def __call__(self, name: str, role: OperatorRole, *slugs: str) -> Browser: ...
