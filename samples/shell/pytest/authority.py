# SPDX-License-Identifier: Apache-2.0
"""The CA of a factory, and what it signs."""

import datetime

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.timezone.utc)
YEAR = datetime.timedelta(days=365)
ATTESTATION = x509.ObjectIdentifier("2.23.133.8.3")


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


class Authority:
    """A root, and an issuing CA under it."""

    def __init__(self):
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.issuing_key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._certify("Root", self.root_key.public_key(), "Root", self.root_key, True)
        self.issuing = self._certify(
            "Issuing", self.issuing_key.public_key(), "Root", self.root_key, True
        )

    def chain(self, subject: str, key, attests: bool = False) -> bytes:
        """Leaf first, down to the issuing CA; the root stays with the verifier.

        The key is an identity's, or one that attests and does nothing else.
        """
        purpose = ATTESTATION if attests else ExtendedKeyUsageOID.CLIENT_AUTH
        leaf = self._certify(subject, key, "Issuing", self.issuing_key, False, purpose)
        return der(leaf) + der(self.issuing)

    @staticmethod
    def _certify(subject, key, issuer, issuer_key, ca, purpose=None) -> x509.Certificate:
        usage = dict.fromkeys(
            [
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ],
            False,
        )
        usage["key_cert_sign"] = ca
        # A CA's is for update commands.
        usage["digital_signature"] = True
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - YEAR)
            .not_valid_after(NOW + YEAR)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
        )
        if purpose is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())


def raw(signature: bytes) -> bytes:
    """A signature's r || s, as COSE has it."""
    r, s = utils.decode_dss_signature(signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def command(key, target, sequence, operation, slot=None, value=None, expiry=None) -> bytes:
    """An update command by docs/update.cddl."""
    fields = {1: target, 2: sequence, 3: operation, 4: slot, 5: value, 6: expiry}
    payload = cbor2.dumps({key: field for key, field in fields.items() if field is not None})
    protected = cbor2.dumps({1: -7, 3: "application/devid-update+cbor"})
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    signature = raw(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))
