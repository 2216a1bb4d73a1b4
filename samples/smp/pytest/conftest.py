# SPDX-License-Identifier: Apache-2.0
"""The device, and the serial port on which mcumgr's UART is reached."""

import os
import pty
import re
import select
import sys
import threading
import time
import tty
from pathlib import Path

import pytest
from twister_harness import DeviceAdapter

# The factory's CA is the shell sample's.
sys.path.append(str(Path(__file__).resolve().parents[2] / "shell/pytest"))


class Line:
    """Two pseudo terminals, and what carries bytes from each to the other."""

    def __init__(self):
        ends = [pty.openpty() for _ in range(2)]
        for _, end in ends:
            tty.setraw(end)
        self.masters = [master for master, _ in ends]
        self.device, self.host = (os.ttyname(end) for _, end in ends)
        threading.Thread(target=self._carry, daemon=True).start()

    def _carry(self) -> None:
        while True:
            for ready in select.select(self.masters, [], [])[0]:
                other = self.masters[1 - self.masters.index(ready)]
                os.write(other, os.read(ready, 1024))


@pytest.fixture(scope="session")
def is_native(request) -> bool:
    return "native" in request.config.option.platform


@pytest.fixture(scope="session")
def line(is_native, request) -> Line | None:
    """native_sim's UART is a port of the host, which must be there at its start."""
    if not is_native:
        return None
    line = Line()
    port = Path(request.config.option.build_dir) / "smp-uart"
    port.unlink(missing_ok=True)
    port.symlink_to(line.device)
    # Its flash would keep the last run's device.
    (port.parent / "flash.bin").unlink(missing_ok=True)
    return line


@pytest.fixture(scope="session")
def device(line, request) -> DeviceAdapter:
    """The device, started, with its port in place."""
    device = request.getfixturevalue("dut")
    device.readlines_until(regex="devid: 0", timeout=60)
    return device


@pytest.fixture(scope="session")
def port(line, device) -> str:
    return line.host if line else pty_of_qemu(device)


def pty_of_qemu(device: DeviceAdapter) -> str:
    """The pseudo terminal that QEMU gave the board's second UART, as it says."""
    said = b""
    output = device._process.stdout
    os.set_blocking(output.fileno(), False)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        said += output.read() or b""
        found = re.search(rb"char device redirected to (\S+) \(label hostS0\)", said)
        if found:
            return found.group(1).decode()
        time.sleep(0.1)
    raise AssertionError(f"QEMU named no pseudo terminal: {said!r}")
