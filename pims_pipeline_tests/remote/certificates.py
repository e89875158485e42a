"""Certificates for tests of TLS: an authority of its own, and a server's certificate."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of a test, which only those trust that are given its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, name: str) -> "Authority":
        """An authority with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(_name(name), _name(name), key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    def write_certificate(self, file: Path) -> Path:
        """Write what ``sslrootcert`` names."""
        file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return file

    def write_server(self, directory: Path, hosts: Sequence[str]) -> tuple[Path, Path]:
        """Write the certificate of a server and its key; returns both files."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(_name(hosts[0]), self.certificate.subject, key).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False
        )
        signed = builder.sign(self.key, hashes.SHA256())
        files = directory / "server.crt", directory / "server.key"
        files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )
