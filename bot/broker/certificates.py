"""A certificate authority for one broker, which signs nothing else, and the broker's certificate."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gpu_worker.protocol.nats.access import BROKER_NAME

__all__ = ["Pair", "new_authority", "new_certificate", "serves"]

AUTHORITY_DAYS = 30 * 365
"""A new one would make all invites worthless."""
CERTIFICATE_DAYS = 5 * 365
RENEWED_BEFORE = timedelta(days=2 * 365)
"""At a start of the bot; so it may run for two years."""
BACKDATED = timedelta(days=365)
"""A machine's clock may be that late."""


@dataclass(frozen=True, slots=True)
class Pair:
    certificate_pem: bytes
    key_pem: bytes


def new_authority(now: datetime | None = None) -> Pair:
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Pincel")])
    made = (
        _begun(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _signed(made, key, key)


def new_certificate(authority: Pair, hosts: Iterable[str], now: datetime | None = None) -> Pair:
    """For the broker at these names and addresses, and at any other for who knows it by BROKER_NAME. Raises ValueError
    for an authority that is none."""
    now = now or datetime.now(UTC)
    signer = serialization.load_pem_private_key(authority.key_pem, None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not of our kind")
    by = x509.load_pem_x509_certificate(authority.certificate_pem)
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _begun(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, BROKER_NAME)]),
            by.subject, key.public_key(), now, CERTIFICATE_DAYS,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(host) for host in _all(hosts)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )  # fmt: skip
    return _signed(made, key, signer)


def serves(pair: Pair, authority_pem: bytes, hosts: Iterable[str], now: datetime | None = None) -> bool:
    """Whether the certificate is the authority's, holds these names, and does so for long enough."""
    now = now or datetime.now(UTC)
    try:
        found = x509.load_pem_x509_certificate(pair.certificate_pem)
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority_pem))
        key = serialization.load_pem_private_key(pair.key_pem, None)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != found.public_key():
        return False
    return found.not_valid_after_utc - now > RENEWED_BEFORE and all(_general(host) in names for host in _all(hosts))


def _all(hosts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((BROKER_NAME, *hosts)))


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _signed(made: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(made.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), private)
