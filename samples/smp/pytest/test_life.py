# SPDX-License-Identifier: Apache-2.0
"""A device's whole life over mcumgr, by clients that are not ours."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

for package in ("smpclient", "serial", "crcmod", "cbor2", "cryptography"):
    pytest.importorskip(
        package, reason="MCUMGR NOT TESTED: pip install 'smpclient[serial]' cbor2 cryptography"
    )

import cbor2  # noqa: E402
from authority import NOW, Authority, command, der  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: E402
from group import Group, Refused, ShellTransport  # noqa: E402
from smpclient.transport.serial import SMPSerialTransport  # noqa: E402
from smpclient.transport.udp import SMPUDPTransport  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[3]
UDP_PORT = 21337

NOT_FOUND, ALREADY_EXISTS, REFUSED, BUSY = 3, 5, 13, 15
LOCKED, STALE = 67, 68


class UdpTransport(SMPUDPTransport):
    """smpclient's, to the port that QEMU forwards."""

    async def connect(self, address: str, timeout_s: float) -> None:
        await super().connect(address, timeout_s, UDP_PORT)


def program(*args: str, **environment: str) -> subprocess.CompletedProcess:
    """A program of this repository."""
    if shutil.which("cargo") is None:
        pytest.skip("NOT TESTED WITH THE HOST'S PROGRAMS: no cargo")
    return subprocess.run(
        ["cargo", *args],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def group(port) -> Group:
    group = Group(SMPSerialTransport(), port)
    yield group
    group.close()


@pytest.fixture(scope="module")
def attests(group) -> bool:
    """Whether the device has initial attestation."""
    try:
        group.read("token-size")
        return True
    except Refused:
        return False


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def certify(group: Group, authority: Authority, slot: str) -> bytes:
    """Gives an identity, or its pending bank, a key and a chain."""
    key = load_der_public_key(group.fetch(group.write("key", slot=slot)))
    assert isinstance(key.curve, ec.SECP256R1)
    request = x509.load_der_x509_csr(group.value("csr", slot=slot, cn="device-1", serial="SN-1"))
    assert request.is_signature_valid and request.public_key() == key
    chain = authority.chain("device-1", request.public_key())
    installed = group.write("chain", slot=slot, sha=group.load(chain), now=int(NOW.timestamp()))
    assert installed == {"certificates": 2, "validity": True}
    return chain


def test_the_crate_mcumgr_toolkit_provisions_it(port, is_native):
    places = {"DEVID_SMP_SERIAL": port}
    if not is_native:
        places["DEVID_SMP_UDP"] = f"127.0.0.1:{UDP_PORT}"
    test = "the_toolkit_provisions_the_device_that_the_environment_names"
    ran = program("test", "-p", "devid-cli", "--test", "smp", test, "--", "--nocapture", **places)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("provisioned over") == len(places), ran.stdout


def test_an_identity_is_certified(group, authority):
    try:
        group.write("destroy", slot="idevid")
    except Refused as refused:
        assert refused.args == (NOT_FOUND,)
    chain = certify(group, authority, "idevid")
    group.refuses(ALREADY_EXISTS, "key", True, slot="idevid")
    assert group.value("chain", slot="idevid") == chain
    leaf = group.value("certificate", slot="idevid")
    assert leaf + der(authority.issuing) == chain

    stranger = authority.chain("x", ec.generate_private_key(ec.SECP256R1()).public_key())
    group.refuses(REFUSED, "chain", True, slot="idevid", sha=group.load(stranger))
    assert group.read("error") == {"code": REFUSED, "detail": 1}


def test_an_identity_rotates(group, authority):
    old = certify(group, authority, "ldevid0")
    new = certify(group, authority, "ldevid0/pending")
    assert group.value("chain", slot="ldevid0") == old
    group.write("activate", slot="ldevid0")
    assert group.read("phase", slot="ldevid0") == {"phase": 2}
    group.refuses(BUSY, "destroy", True, slot="ldevid0")
    assert group.value("chain", slot="ldevid0") == new
    group.write("rollback", slot="ldevid0")
    assert group.value("chain", slot="ldevid0") == old

    new = certify(group, authority, "ldevid0/pending")
    group.write("activate", slot="ldevid0")
    group.write("confirm", slot="ldevid0")
    assert group.value("chain", slot="ldevid0") == new
    assert group.read("phase", slot="ldevid0") == {"phase": 0}


def test_evidence_is_verified(group, authority, attests, tmp_path):
    challenge = os.urandom(32)
    if not attests:
        group.refuses(9, "evidence", challenge=challenge)
        return
    iak = load_der_public_key(group.value("iak"))
    chain = authority.chain("device-1 attestation", iak, attests=True)
    group.write("value", slot="iak", sha=group.load(chain))
    files = {"root.der": der(authority.root), "evidence": group.value("evidence", challenge=challenge)}
    files["csr"] = group.value("csr", slot="idevid", challenge=challenge)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for name in ("evidence", "csr"):
        verified = program(
            *"run --quiet -p devid-cli -- verify --allow-development-key".split(),
            *("--trust-anchor", str(tmp_path / "root.der"), "--at", f"{NOW:%Y-%m-%d}"),
            *("--challenge", challenge.hex(), str(tmp_path / name)),
        )
        assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.parametrize("name", ["shell", "udp"])
def test_clients_of_two_transports_are_never_mixed(group, device, is_native, name):
    if is_native:
        pytest.skip("native_sim: the shell's UART has no interrupts, and a host's socket that "
                    "one thread reads no other can write (Zephyr 4.1)")
    if name == "shell":
        other = Group(ShellTransport(device), "")
    else:
        other = Group(UdpTransport(), "127.0.0.1")
    assert other.read("slots") == group.read("slots")

    # Evidence with the attestation key's chain takes more than a packet.
    ours = group.read("evidence", challenge=b"\x01" * 32)
    theirs = other.read("evidence", challenge=b"\x02" * 32)
    assert ours["len"] > len(ours["data"]) and theirs["len"] > len(theirs["data"])
    group.refuses(STALE, "result", sha=ours["sha"], off=len(ours["data"]))
    assert b"\x02" * 32 in other.fetch(theirs)

    sha = other.load(b"x" * 100)
    group.load(b"y" * 100)
    other.refuses(STALE, "value", True, slot="endpoint", sha=sha)
    other.close()


def test_a_locked_device_refuses_and_takes_updates(group, authority):
    group.write("value", slot="anchor0", sha=group.load(der(authority.root)))
    group.write("value", slot="serial", value=b"SN-0001")
    group.write("lock", yes=True)
    info = group.read("info")
    assert info["locked"] and info["seq"] == 0

    group.refuses(LOCKED, "value", True, slot="serial", value=b"SN-0002")
    group.refuses(LOCKED, "key", True, slot="ldevid0/pending")
    group.refuses(LOCKED, "destroy", True, slot="ldevid0")
    group.refuses(LOCKED, "reset", True, yes=True)
    group.refuses(LOCKED, "status")
    assert group.value("value", slot="serial") == b"SN-0001"
    assert group.read("slot", slot="idevid")["state"] == 1

    forged = command(authority.issuing_key, info["id"], 1, 1, 0x30, b"forged")
    group.refuses(REFUSED, "update", True, sha=group.load(forged))
    signed = command(authority.root_key, info["id"], 1, 1, 0x30, b"SN-0002")
    applied = group.write("update", sha=group.load(signed))
    assert applied == {"seq": 1, "already": False}
    assert group.value("value", slot="serial") == b"SN-0002"
    assert group.write("update", value=signed) == {"seq": 1, "already": True}
