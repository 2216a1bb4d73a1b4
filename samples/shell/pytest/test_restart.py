# SPDX-License-Identifier: Apache-2.0
"""What outlives a power cut: a process that is killed, and another over the same flash file."""

from pathlib import Path

import pytest
from authority import NOW, command, der
from console import Console
from cryptography.hazmat.primitives.serialization import load_der_public_key
from twister_harness import DeviceAdapter

AT = int(NOW.timestamp())


class Device:
    """A device whose power can be cut."""

    def __init__(self, dut: DeviceAdapter, flash: Path):
        self.dut = dut
        dut.generate_command()
        dut.command.append(f"--flash={flash}")
        self.start()

    def start(self) -> None:
        self.dut.launch()
        self.console = Console.open(self.dut)

    def cut(self) -> Console:
        """Kills the process between two commands and starts another."""
        self.dut._process.kill()
        self.dut.close()
        self.start()
        return self.console


@pytest.fixture
def device(unlaunched_dut: DeviceAdapter, tmp_path: Path) -> Device:
    """A device fresh from the factory: its flash file is new."""
    return Device(unlaunched_dut, tmp_path / "flash.bin")


def provision(console, authority, slot, name) -> tuple[bytes, bytes]:
    """Makes a key and has it certified; the key and its chain."""
    spki = console.value("SPKI", f"id gen {slot}")
    chain = authority.chain(name, load_der_public_key(spki))
    console.load(chain)
    console.ok(f"id install {slot} - {AT}")
    return spki, chain


def identity(console) -> tuple[bytes, bytes]:
    return console.value("SPKI", "id pub ldevid0"), console.value("CHAIN", "id chain ldevid0")


def phase(console) -> str:
    return console.ok("id phase ldevid0")[-1]


def test_a_pending_key_waits_through_a_restart(device, authority):
    old = provision(device.console, authority, "ldevid0", "first")
    pending = device.console.value("SPKI", "id gen ldevid0/pending")
    console = device.cut()
    assert phase(console) == "PHASE: pending"
    assert console.value("SPKI", "id pub ldevid0/pending") == pending
    assert identity(console) == old


@pytest.mark.parametrize("end", ["confirm", "rollback"])
def test_an_activation_waits_through_a_restart_for_its_end(device, authority, end):
    old = provision(device.console, authority, "ldevid0", "first")
    new = provision(device.console, authority, "ldevid0/pending", "second")
    device.console.ok("id activate ldevid0")
    console = device.cut()
    assert phase(console) == "PHASE: activated"
    assert identity(console) == new
    console.ok(f"id {end} ldevid0")
    console = device.cut()
    assert phase(console) == "PHASE: settled"
    assert identity(console) == (new if end == "confirm" else old)
    console.fails("id rollback ldevid0", "ENOENT")
    console.fails("id pub ldevid0/pending", "ENOENT")


def test_lock_and_sequence_survive_a_restart(device, authority):
    spki, _ = provision(device.console, authority, "idevid", "device-1")
    device.console.load(der(authority.root))
    device.console.ok("slot write anchor0 -")
    device.console.ok("lock yes")
    info = device.console.info()
    target = bytes.fromhex(info["instance-id"])
    signed = command(authority.root_key, target, 7, 1, slot=0x30, value=b"SN-0001")
    device.console.load(signed)
    device.console.ok("update -")

    console = device.cut()
    assert console.info() == info | {"sequence": "7"}
    assert info["locked"] == "yes"
    console.fails("slot write serial text:SN-0002 7", "EACCES")
    console.fails("id erase idevid", "EACCES")
    console.load(signed)
    assert console.ok("update -")[-1] == "APPLIED: sequence=7 already=yes"
    assert console.value("SPKI", "id pub idevid") == spki
    assert console.value("VALUE", "slot read serial") == b"SN-0001"
