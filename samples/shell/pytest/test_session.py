# SPDX-License-Identifier: Apache-2.0
"""The whole session of a factory and a verifier with a device, over its shell."""

import hashlib
import os

import cbor2
import pytest
from authority import NOW, YEAR, der
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

X5CHAIN = 33


def test_slots_are_listed_and_empty(console):
    slots = [line for line in console.ok("slot list") if line.startswith("SLOT: ")]
    assert len(slots) == 8
    assert all(slot.endswith("state=empty") for slot in slots)


def test_a_value_reads_back_and_goes(console):
    console.ok("slot write serial text:SN-0001 7")
    assert console.value("VALUE", "slot read serial") == b"SN-0001"
    console.ok("slot write serial hex:00ff10 3")
    assert console.value("VALUE", "slot read serial") == b"\x00\xff\x10"
    console.ok("slot erase serial")
    console.fails("slot read serial", "ENOENT")


def test_the_longest_value_of_a_word_arrives_whole(console):
    value = bytes(range(192))
    console.ok(f"slot write endpoint hex:{value.hex()} {len(value)}")
    assert console.value("VALUE", "slot read endpoint") == value
    console.ok("slot erase endpoint")


def test_a_secret_is_never_shown(console):
    console.ok("slot write secret text:hunter2 7")
    lines = console.ok("slot read secret")
    digest = hashlib.sha256(b"hunter2").hexdigest()
    assert f"SECRET: 7 {digest}" in lines
    assert not any("hunter2" in line or "aHVudGVyMg" in line for line in lines)


def test_bad_input_is_refused_by_name(console):
    console.fails("slot write serial hex:0", "EINVAL")
    console.fails("slot write serial hex:0g", "EINVAL")
    console.fails("slot write serial base64:AAA", "EINVAL")
    console.fails("slot write serial 00", "EINVAL")
    console.fails("slot write nosuch hex:00 1", "ENXIO")
    console.fails("slot read serial again", "EINVAL")
    console.fails("slot write serial hex:" + "00" * 65 + " 65", "EFBIG")
    console.fails("slot write idevid hex:00 1", "ENOTSUP")
    console.fails("token get 00", "EINVAL")
    console.fails("load data 00", "ENOENT")


def test_a_wrong_digest_drops_the_load(console):
    console.ok(f"load begin 4 {'00' * 32}")
    console.ok("load data hex:01020304")
    console.fails("slot write serial -", "EBADMSG")
    console.fails("slot read serial", "ENOENT")


def test_an_identity_is_certified(console, authority):
    key = load_der_public_key(console.value("SPKI", "id gen idevid"))
    assert isinstance(key.curve, ec.SECP256R1)
    console.fails("id gen idevid", "EEXIST")

    request = x509.load_der_x509_csr(console.value("CSR", "id csr idevid cn=device-1 serial=SN-0001"))
    assert request.is_signature_valid
    assert request.public_key() == key
    assert request.subject.rfc4514_string() in ("CN=device-1,2.5.4.5=SN-0001", "2.5.4.5=SN-0001,CN=device-1")

    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    console.load(authority.chain("device-1", stranger))
    console.fails("id install idevid -", "EPERM")

    chain = authority.chain("device-1", request.public_key())
    console.load(chain)
    late = int((NOW + 2 * YEAR).timestamp())
    console.fails(f"id install idevid - {late}", "EPERM")
    console.ok(f"id install idevid - {int(NOW.timestamp())}")

    assert console.value("CHAIN", "id chain idevid") == chain
    leaf = console.value("CERT", "id cert idevid 0")
    issuing = console.value("CERT", "id cert idevid 1")
    assert leaf + issuing == chain
    assert issuing == der(authority.issuing)
    console.fails("id cert idevid 2", "ENOENT")


def test_an_anchor_is_a_ca_certificate(console, authority):
    console.load(der(authority.root))
    console.ok("slot write anchor0 -")
    assert console.value("VALUE", "slot read anchor0") == der(authority.root)
    leaf = authority.chain("x", authority.root_key.public_key())[: -len(der(authority.issuing))]
    console.load(leaf)
    console.fails("slot write anchor1 -", "EPERM")


def test_evidence_verifies_with_the_root_alone(console, authority, attests):
    challenge = os.urandom(32)
    if not attests:
        console.fails(f"evidence {challenge.hex()}", "ENOTSUP")
        console.fails(f"token get {challenge.hex()}", "ENOTSUP")
        console.fails("iak", "ENOTSUP")
        return

    iak = load_der_public_key(console.value("IAK", "iak"))
    console.load(authority.chain("device-1", ec.generate_private_key(ec.SECP256R1()).public_key()))
    console.fails("slot write iak -", "EPERM")
    chain = authority.chain("device-1 attestation", iak, attests=True)
    console.load(chain)
    console.ok("slot write iak -")

    evidence = console.value("EVIDENCE", f"evidence {challenge.hex()}")
    sign1 = cbor2.loads(evidence)
    protected, unprotected, payload, signature = sign1.value
    assert sign1.tag == 18

    certificates = [x509.load_der_x509_certificate(each) for each in unprotected[X5CHAIN]]
    assert b"".join(der(each) for each in certificates) == chain
    certificates[-1].verify_directly_issued_by(authority.root)
    for subject, issuer in zip(certificates, certificates[1:]):
        subject.verify_directly_issued_by(issuer)

    to_be_signed = cbor2.dumps(["Signature1", protected, b"", payload])
    r, s = signature[:32], signature[32:]
    certificates[0].public_key().verify(
        utils.encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big")),
        to_be_signed,
        ec.ECDSA(hashes.SHA256()),
    )
    assert challenge in cbor2.loads(payload).values()

    # The token alone is the same but for the certificates.
    token = cbor2.loads(console.value("TOKEN", f"token get {challenge.hex()}"))
    assert token.value[1] == {} and token.value[0] == protected
    assert any(line.startswith("CLAIM: ") for line in console.ok(f"token show {challenge.hex()}"))


def test_status_tells_what_is_there(console, attests):
    status = "\n".join(console.ok("status"))
    assert " error " not in status
    assert "no trust anchor" not in status
    assert ("72 warning: no attestation" in status) != attests


def test_an_erased_identity_is_gone(console):
    spki = console.value("SPKI", "id pub idevid")
    console.ok("id erase idevid")
    console.fails("id pub idevid", "ENOENT")
    console.fails("id chain idevid", "ENOENT")
    key = load_der_public_key(console.value("SPKI", "id gen idevid"))
    assert key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki
