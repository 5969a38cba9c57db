"""A self-signed certificate for the API server on loopback: kubectl and client libraries send a token over TLS only."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

VALIDITY: Final = timedelta(days=365)
HOSTS: Final = ("localhost", "kubernetes", "kubernetes.default.svc")


def server_context(folder: Path, now: datetime | None = None) -> tuple[ssl.SSLContext, bytes]:
    """A server's TLS context and the certificate that clients trust (PEM). The key is written into `folder`, readable by its owner only."""
    certificate, key = _issue(now or datetime.now(UTC))
    key_file, certificate_file = folder / "apiserver.key", folder / "apiserver.crt"
    key_file.touch(mode=0o600)
    key_file.write_bytes(key)
    certificate_file.write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    return context, certificate


def _issue(now: datetime) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "flagger-local")])
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName([*(x509.DNSName(host) for host in HOSTS), *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
