# SPDX-License-Identifier: Apache-2.0
"""The life of a device after the session of the factory: rotation, updates, lock."""

import hashlib
import os

import cbor2
import pytest
from authority import NOW, Authority, command, der
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

AT = int(NOW.timestamp())
WRITE, INSTALL, ADD_ANCHOR, REVOKE_ANCHOR, RESET, ACTIVATE = range(1, 7)
IDEVID, LDEVID, ANCHOR0, ANCHOR1, SERIAL = 0x00, 0x01, 0x20, 0x21, 0x30
DOMAIN = b"devid-bound-evidence-v2\0"
PREFIX = b"devid-bound-key2"


def bound_nonce(challenge: bytes, spki: bytes) -> bytes:
    """The nonce that vouches for a key: docs/bound-evidence.md."""
    hashed = DOMAIN + bytes([len(challenge)]) + challenge + spki
    return PREFIX + hashlib.sha256(hashed).digest()


@pytest.fixture(scope="module")
def second() -> Authority:
    """Who signs updates after the first authority."""
    return Authority()


def certify(console, authority, slot, name) -> bytes:
    """Has the key of a slot, or of its pending bank, certified by its request."""
    request = x509.load_der_x509_csr(console.value("CSR", f"id csr {slot} cn={name}"))
    assert request.is_signature_valid
    chain = authority.chain(name, request.public_key())
    console.load(chain)
    console.ok(f"id install {slot} - {AT}")
    return chain


def phase(console, slot="ldevid0") -> str:
    return console.ok(f"id phase {slot}")[-1]


def send(console, key, operation, *, step=1, target=None, **fields) -> str:
    """Gives an update command of the next number; the command's last line."""
    info = console.info()
    target = target or bytes.fromhex(info["instance-id"])
    console.load(command(key, target, int(info["sequence"]) + step, operation, **fields))
    return console.run("update -")[-1]


def nonce_of(token: bytes) -> bytes:
    claims = cbor2.loads(cbor2.loads(token).value[2])
    return claims[-75008] if -75008 in claims else claims[10]


def test_an_identity_rotates_and_the_old_one_stays_until_confirmed(console, authority):
    certify(console, authority, "idevid", "device-1")
    console.fails("id gen ldevid0/pending", "ENOENT")
    old = console.value("SPKI", "id gen ldevid0")
    old_chain = certify(console, authority, "ldevid0", "first")
    assert phase(console) == "PHASE: settled"
    console.fails("id activate ldevid0", "ENOENT")
    console.fails("id confirm ldevid0", "ENOENT")

    new = console.value("SPKI", "id gen ldevid0/pending")
    assert new != old
    assert phase(console) == "PHASE: pending"
    console.fails("id activate ldevid0", "ENOENT")
    console.fails("id erase ldevid0", "EBUSY")
    console.load(old_chain)
    console.fails("id install ldevid0/pending -", "EPERM")
    certify(console, authority, "ldevid0/pending", "second")
    assert console.value("SPKI", "id pub ldevid0") == old
    assert console.value("CHAIN", "id chain ldevid0") == old_chain

    console.ok("id activate ldevid0")
    assert phase(console) == "PHASE: activated"
    assert console.value("SPKI", "id pub ldevid0") == new
    assert any(line.startswith("STATUS: 71 warning ldevid0") for line in console.ok("status"))
    console.fails("id gen ldevid0/pending", "EBUSY")

    console.ok("id rollback ldevid0")
    assert console.value("SPKI", "id pub ldevid0") == old
    assert console.value("CHAIN", "id chain ldevid0") == old_chain

    newest = console.value("SPKI", "id gen ldevid0/pending")
    chain = certify(console, authority, "ldevid0/pending", "third")
    console.ok("id activate ldevid0")
    console.ok("id confirm ldevid0")
    console.fails("id rollback ldevid0", "ENOENT")
    assert newest not in (old, new)
    assert console.value("SPKI", "id pub ldevid0") == newest
    assert console.value("CHAIN", "id chain ldevid0") == chain


def test_a_certificate_is_renewed_over_the_same_key(console, authority):
    spki = console.value("SPKI", "id pub ldevid0")
    renewed = authority.chain("renewed", load_der_public_key(spki))
    console.load(renewed)
    console.ok(f"id install ldevid0/pending - {AT}")
    assert console.value("CHAIN", "id chain ldevid0") != renewed
    console.ok("id activate ldevid0")
    console.ok("id confirm ldevid0")
    assert console.value("CHAIN", "id chain ldevid0") == renewed
    assert console.value("SPKI", "id pub ldevid0") == spki


def test_evidence_vouches_for_an_identitys_key(console, authority, attests, devid):
    challenge = os.urandom(32)
    if not attests:
        console.fails(f"id evidence ldevid0 {challenge.hex()}", "ENOTSUP")
        return
    spki = console.value("SPKI", "id pub ldevid0")
    evidence = console.value("EVIDENCE", f"id evidence ldevid0 {challenge.hex()}")
    assert nonce_of(evidence) == bound_nonce(challenge, spki)

    files = {"root.der": der(authority.root), "ldevid.der": spki, "bound.cbor": evidence}
    files["idevid.der"] = console.value("SPKI", "id pub idevid")
    check = ["verify", "--at", str(AT), "--trust-anchor", "root.der"]
    check += ["--allow-development-key", "--challenge", challenge.hex()]
    code, said = devid(*check, "--bound-key", "ldevid.der", "bound.cbor", **files)
    assert (code, "bound.cbor: pass" in said) == (0, True), said
    code, said = devid(*check, "--bound-key", "idevid.der", "bound.cbor")
    assert code == 1, said
    code, said = devid(*check, "bound.cbor")
    assert code == 1, said


def test_a_request_carries_evidence_for_its_key(console, authority, attests, devid):
    challenge = os.urandom(32)
    ask = f"id csr ldevid0 cn=device-1 challenge={challenge.hex()}"
    if not attests:
        console.fails(ask, "ENOTSUP")
        return
    der_request = console.value("CSR", ask)
    request = x509.load_der_x509_csr(der_request)
    assert request.is_signature_valid
    spki = console.value("SPKI", "id pub ldevid0")
    bound = bound_nonce(challenge, spki)
    attestation = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.59")
    assert bound in request.attributes.get_attribute_for_oid(attestation).value

    check = ["verify", "--at", str(AT), "--trust-anchor", "root.der", "--allow-development-key"]
    files = {"root.der": der(authority.root), "request.der": der_request}
    code, said = devid(*check, "--challenge", challenge.hex(), "request.der", **files)
    assert (code, "request.der: pass" in said) == (0, True), said
    code, said = devid(*check, "--challenge", os.urandom(32).hex(), "request.der")
    assert code == 1, said


def test_anchors_command_updates(console, authority, second):
    key = authority.root_key
    assert send(console, key, WRITE, slot=SERIAL, value=b"SN-0002").startswith("APPLIED: ")
    assert console.value("VALUE", "slot read serial") == b"SN-0002"

    # A chain over the pending key, and its activation.
    new = console.value("SPKI", "id gen ldevid0/pending")
    chain = authority.chain("by update", load_der_public_key(new))
    assert send(console, key, INSTALL, slot=LDEVID, value=chain).startswith("APPLIED: ")
    assert send(console, key, ACTIVATE, slot=LDEVID).startswith("APPLIED: ")
    assert phase(console) == "PHASE: activated"
    console.ok("id confirm ldevid0")
    assert console.value("CHAIN", "id chain ldevid0") == chain

    # The anchor makes way for another, and is dead at once.
    anchor = der(second.root)
    assert send(console, key, ADD_ANCHOR, slot=ANCHOR1, value=anchor).startswith("APPLIED: ")
    assert send(console, key, REVOKE_ANCHOR, slot=ANCHOR0).startswith("APPLIED: ")
    dead = send(console, key, WRITE, slot=SERIAL, value=b"SN-0003")
    assert dead.startswith("error: EPERM: refused: signed by no trust anchor"), dead
    last = send(console, second.root_key, REVOKE_ANCHOR, slot=ANCHOR1)
    assert last.startswith("error: EPERM: refused: no trust anchor that may command"), last


def test_wrong_updates_are_refused_and_change_nothing(console, second):
    key = second.root_key
    # Numbers count for each signer: from here on the last one is its own.
    assert send(console, key, WRITE, slot=SERIAL, value=b"SN-0002").startswith("APPLIED: ")
    write = {"slot": SERIAL, "value": b"SN-0003"}
    before = console.info()
    refusals = {
        "the sequence number": send(console, key, WRITE, step=0, **write),
        "meant for another": send(console, key, WRITE, target=b"\x01" + bytes(32), **write),
        "meant for another ": send(console, key, WRITE, target="another-group", **write),
        # The application tells the time, and this one does not.
        "it expires": send(console, key, WRITE, expiry=AT, **write),
        "an unknown operation": send(console, key, 9, **write),
        "signed by no": send(console, ec.generate_private_key(ec.SECP256R1()), WRITE, **write),
    }
    for reason, said in refusals.items():
        assert said.startswith(f"error: EPERM: refused: {reason.strip()}"), (reason, said)

    sequence = int(before["sequence"]) + 1
    signed = command(key, bytes.fromhex(before["instance-id"]), sequence, WRITE, **write)
    console.load(signed[:-1])
    console.fails("update -", "EBADMSG")
    console.load(signed[:-1] + bytes([signed[-1] ^ 1]))
    console.fails("update -", "EPERM")
    console.fails("update hex:d28443a10126a04000", "EBADMSG")
    assert console.info() == before
    assert console.value("VALUE", "slot read serial") == b"SN-0002"

    console.load(signed)
    assert console.ok("update -")[-1] == f"APPLIED: sequence={sequence} already=no"
    console.load(signed)
    assert console.ok("update -")[-1] == f"APPLIED: sequence={sequence} already=yes"
    assert send(console, key, RESET).endswith(" already=no")
    console.fails("id pub ldevid0", "ENOENT")


def test_the_program_signs_what_the_device_takes(console, second, devid):
    key = second.root_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    info = console.info()
    code, said = devid(
        *["update", "sign", "--key", "key.pem", "--anchor", "anchor.der"],
        *["--device", info["instance-id"], "--sequence", str(int(info["sequence"]) + 1)],
        *["--out", "command.cbor", "write", "serial", "serial.txt"],
        **{"key.pem": key, "anchor.der": der(second.root), "serial.txt": b"SN-0004"},
    )
    assert code == 0, said
    console.load((devid.directory / "command.cbor").read_bytes())
    console.ok("update -")
    assert console.value("VALUE", "slot read serial") == b"SN-0004"


def test_lock_is_for_good(console, authority, second):
    spki = console.value("SPKI", "id pub idevid")
    console.fails("lock no", "EINVAL")
    assert console.info()["locked"] == "no"
    assert any(line.startswith("STATUS: 67 warning") for line in console.ok("status"))
    console.ok("id gen idevid/pending")
    console.fails("lock yes", "EBUSY")
    console.ok("id rollback idevid")
    console.ok("lock yes")
    console.fails("lock yes", "EACCES")
    assert console.info()["locked"] == "yes"
    assert not any(line.startswith("STATUS: 67 ") for line in console.ok("status"))

    console.fails("slot write serial text:SN-0005 7", "EACCES")
    console.fails("slot erase serial", "EACCES")
    console.fails("slot erase anchor1", "EACCES")
    console.load(der(authority.root))
    console.fails("slot write anchor0 -", "EACCES")
    console.load(authority.chain("device-1", load_der_public_key(spki)))
    console.fails(f"id install idevid - {AT}", "EACCES")
    console.fails("id gen idevid/pending", "EACCES")
    console.fails("id erase idevid", "EACCES")
    assert console.value("SPKI", "id pub idevid") == spki
    assert console.value("VALUE", "slot read serial") == b"SN-0004"

    # The device's own goes on, and so do authorised updates.
    console.ok("id gen ldevid0")
    certify(console, authority, "ldevid0", "first")
    console.ok("id gen ldevid0/pending")
    certify(console, authority, "ldevid0/pending", "second")
    console.ok("id activate ldevid0")
    console.ok("id confirm ldevid0")
    key = second.root_key
    assert send(console, key, WRITE, slot=SERIAL, value=b"SN-0006").startswith("APPLIED: ")
    assert console.value("VALUE", "slot read serial") == b"SN-0006"

    console.fails("reset no", "EINVAL")
    console.ok("reset yes")
    console.fails("id pub ldevid0", "ENOENT")
    assert console.value("SPKI", "id pub idevid") == spki
    assert console.info()["locked"] == "yes"
