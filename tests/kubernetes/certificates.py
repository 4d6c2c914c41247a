"""A certificate authority of a test cluster's own, and the certificates of its servers."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFE = datetime.timedelta(days=30)


class Authority:
    """An authority whose files lie in a folder: NAME.crt and NAME.key for each certificate, ca.crt for its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = write_key(folder / "ca.key")
        self._name = _name("airloom-test-ca")
        builder = self._begun(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.certificate = self._signed(builder, "ca")

    def issue(self, name: str, addresses: list[str]) -> None:
        """A certificate for a server that is reached at these IP addresses and host names."""
        key = write_key(self._folder / f"{name}.key")
        builder = self._begun(_name(name), key)
        alternatives = x509.SubjectAlternativeName([_alternative(address) for address in addresses])
        self._signed(builder.add_extension(alternatives, critical=False), name)

    def _begun(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        # Clocks of one machine may step back.
        return builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + _LIFE)

    def _signed(self, builder: x509.CertificateBuilder, name: str) -> Path:
        path = self._folder / f"{name}.crt"
        signed = builder.sign(self._key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return path


def write_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A new private key, and a file of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    path.chmod(0o600)
    return key


def write_public(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """A file of the public half of a key."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)
