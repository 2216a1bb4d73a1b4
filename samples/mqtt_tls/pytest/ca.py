# SPDX-License-Identifier: Apache-2.0
"""The operator's certification authority: a root that issues, and revokes."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def pem(thing) -> bytes:
    return thing.public_bytes(Encoding.PEM)


class Authority:
    """A root CA with a P-256 key, and the list of what it revoked."""

    def __init__(self, common_name: str):
        self.name = name(common_name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.revoked: list[x509.RevokedCertificate] = []
        self.root = self._sign(self._about(self.name, self.key.public_key(), ca=True))

    def issue_to(self, request: x509.CertificateSigningRequest) -> x509.Certificate:
        """A device's certificate, for the name and key of its request."""
        assert request.is_signature_valid
        return self._sign(self._about(request.subject, request.public_key(), ca=False))

    def issue_server(self, key, addresses: list[str]) -> x509.Certificate:
        """A server's certificate, for its addresses."""
        names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        about = self._about(name("broker"), key, ca=False)
        return self._sign(about.add_extension(x509.SubjectAlternativeName(names), critical=False))

    def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        self.revoked.append(
            x509.RevokedCertificateBuilder()
            .serial_number(certificate.serial_number)
            .revocation_date(NOW)
            .add_extension(x509.CRLReason(reason), critical=False)
            .build()
        )

    def crl(self) -> x509.CertificateRevocationList:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(NOW - DAY).next_update(NOW + 30 * DAY)
        for revoked in self.revoked:
            builder = builder.add_revoked_certificate(revoked)
        return builder.sign(self.key, hashes.SHA256())

    def _about(self, subject: x509.Name, key, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    def _sign(self, about: x509.CertificateBuilder) -> x509.Certificate:
        return about.sign(self.key, hashes.SHA256())
