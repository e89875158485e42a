"""Screenshots and errors of a login hold no credentials and no personal data."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.port import (
    ContractViolation,
    HumanNeeded,
    TransientError,
)
from pims_pipeline_tests.providers.idexx_neo.login.login_form import HTML, form
from pims_pipeline_tests.providers.idexx_neo.login.shared_browser import (
    SharedBrowser,
)
from pims_pipeline_tests.providers.odd_server import OddServer, Response, odd_server


def test_a_picture_shows_nothing_that_was_typed(server: OddServer, browser: SharedBrowser) -> None:
    """Two failed logins with different words leave the very same picture."""
    refused_in_place = form(
        "<p class=error-message></p><script>addEventListener('submit', event => {"
        "event.preventDefault(); document.querySelector('p').textContent = 'Wrong.'})</script>"
    )
    server.responses = [refused_in_place]
    taken = []
    for words in (neo_credentials("ana", "hunter2"), neo_credentials("another user", "x")):
        with pytest.raises(ContractViolation, match="not sent"):
            browser.log_in(server.base_url, words)
        taken += browser.pictures
    assert taken[0] == taken[1]


PRIVATE = (
    b"<!doctype html><title>Dr. %(name)s</title><h1>Good morning, %(name)s</h1>"
    b"<p id=t>%(name)s, born 1 May %(year)s, 12 Mill Lane</p><input value='%(name)s'>"
    b"<select><option>%(name)s</select><textarea>%(name)s</textarea>"
    b'<img src=\'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg"><text>%(name)s'
    b"</text></svg>'><svg><text y=20>%(name)s</text></svg><a title='%(name)s'>Please wait</a>"
    b"<div id=inner></div><script>inner.attachShadow({mode: 'open'}).innerHTML = "
    b"'<b>%(name)s</b>'; setInterval(() => t.textContent = '%(name)s', 5)</script>"
)


def test_a_picture_of_a_page_after_the_login_shows_no_personal_data(
    server: OddServer, browser: SharedBrowser
) -> None:
    """The picture is the same for any name on the page; the policy forbids the page new styles."""
    policy = {"Content-Security-Policy": "style-src 'none'"}
    taken = []
    for name, year in ((b"Ana Okafor", b"1990"), (b"Jo Li", b"77")):
        page = PRIVATE % {b"name": name, b"year": year}
        server.responses = [form(), Response(200, page, HTML, policy)]
        with pytest.raises(HumanNeeded) as raised:
            browser.log_in(server.base_url, timeout_s=20)
        assert "Okafor" not in str(raised.value)
        taken += browser.pictures
    assert taken[0] == taken[1]


def test_a_certificate_that_the_browser_does_not_trust_gets_no_credentials(
    browser: SharedBrowser, tmp_path: Path
) -> None:
    with odd_server(certificate=self_signed(tmp_path)) as server:
        with pytest.raises(ContractViolation, match=r"certificate.*ERR_CERT_AUTHORITY_INVALID"):
            browser.log_in(server.base_url)
        assert server.paths == []


def self_signed(directory: Path) -> Path:
    """A certificate for 127.0.0.1 that no authority signed, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = directory / "server.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path


def test_no_error_shows_what_was_typed(server: OddServer, browser: SharedBrowser) -> None:
    """The password field goes away while it is being filled, which Playwright would quote."""
    vanishing = form(
        "<script>addEventListener('focusin', () => document.forms[0].remove(), true)</script>"
    )
    server.responses = [vanishing]
    with pytest.raises((TransientError, ContractViolation)) as raised:
        browser.log_in(server.base_url, neo_credentials("ana", "hunter2"), timeout_s=6)
    chain: BaseException | None = raised.value
    while chain is not None:
        assert "hunter2" not in str(chain)
        chain = chain.__cause__ or chain.__context__
