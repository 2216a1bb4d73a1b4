# SPDX-License-Identifier: Apache-2.0
"""The device, its factory and the host's program."""

import os
import subprocess
from pathlib import Path

import pytest
from authority import Authority
from console import Console
from twister_harness import DeviceAdapter


@pytest.fixture(scope="session")
def console(dut: DeviceAdapter) -> Console:
    """The shell of a device fresh from the factory."""
    return Console.open(dut)


@pytest.fixture(scope="session")
def attests(console: Console) -> bool:
    """Whether the device has initial attestation."""
    return console.run("token size")[-1].startswith("TOKEN-SIZE: ")


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The factory's CA."""
    return Authority()


class Program:
    """The program `devid`, run in a directory of its own."""

    def __init__(self, path: str, directory: Path):
        self.path = path
        self.directory = directory

    def __call__(self, *args: str, **files: bytes) -> tuple[int, str]:
        """Writes the files, then runs the program; its exit code and output."""
        for name, content in files.items():
            (self.directory / name).write_bytes(content)
        done = subprocess.run(
            [self.path, *args], cwd=self.directory, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def devid(tmp_path: Path) -> Program:
    """The host's side."""
    if "DEVID" not in os.environ:
        pytest.skip("`cargo xtask twister` names the program in the variable DEVID")
    return Program(os.environ["DEVID"], tmp_path)
