# SPDX-License-Identifier: Apache-2.0
"""A script's view of the shell: one command in, its lines out."""

import base64
import hashlib
import re

from twister_harness import DeviceAdapter, Shell

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PROMPT = "devid:~$ "
PIECE_LEN = 192


class Console:
    """Runs commands of `devid` one after the other."""

    def __init__(self, dut: DeviceAdapter):
        self.dut = dut
        self.count = 0

    @classmethod
    def open(cls, dut: DeviceAdapter) -> "Console":
        """Waits for the shell of a device that starts."""
        assert Shell(dut, prompt=PROMPT.rstrip()).wait_for_prompt(timeout=30)
        return cls(dut)

    def run(self, command: str) -> list[str]:
        """The lines that a command prints, without its echo."""
        self.count += 1
        # The shell does not know this word and says so: the command before it ended.
        end = f"end-of-command-{self.count}"
        self.dut.clear_buffer()
        self.dut.write(f"devid {command}\n{end}\n".encode())
        lines = self.dut.readlines_until(regex=f"{end}: command not found", timeout=60)
        lines = [ESCAPES.sub("", line).rstrip() for line in lines]
        return [line for line in lines if PROMPT not in line and end not in line]

    def ok(self, command: str) -> list[str]:
        """The lines of a command that must succeed."""
        lines = self.run(command)
        assert not any(line.startswith("error: ") for line in lines), (command, lines)
        return lines

    def fails(self, command: str, errno: str) -> None:
        """Runs a command that must fail, by that errno."""
        lines = self.run(command)
        assert any(line.startswith(f"error: {errno}: ") for line in lines), (command, lines)

    def value(self, prefix: str, command: str) -> bytes:
        """Binary that a command prints, checked against its length and digest."""
        lines = self.ok(command)
        pieces = [line.removeprefix(f"{prefix}: ") for line in lines if line.startswith(f"{prefix}: ")]
        value = base64.b64decode("".join(pieces), validate=True)
        assert f"{prefix}-END: {len(value)} {hashlib.sha256(value).hexdigest()}" in lines, lines
        return value

    def info(self) -> dict[str, str]:
        """What the device tells of itself."""
        (line,) = [line for line in self.ok("info") if line.startswith("DEVICE: ")]
        return dict(word.split("=", 1) for word in line.split()[1:])

    def load(self, value: bytes) -> None:
        """Loads a long value in pieces; it then goes by the name '-'."""
        self.ok(f"load begin {len(value)} {hashlib.sha256(value).hexdigest()}")
        self.load_pieces(value)

    def load_pieces(self, value: bytes) -> None:
        """Sends the pieces of a value already announced."""
        for at in range(0, len(value), PIECE_LEN):
            piece = base64.b64encode(value[at : at + PIECE_LEN]).decode()
            self.ok(f"load data base64:{piece}")
