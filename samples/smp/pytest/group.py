# SPDX-License-Identifier: Apache-2.0
"""The device's group of mcumgr commands, by the library smpclient."""

import asyncio
import hashlib
import time
from typing import Any

import pytest
from pydantic import model_validator
from smp import error, message, packet
from smpclient import SMPClient
from smpclient.generics import error_v1, error_v2
from smpclient.transport import SMPTransport

GROUP = 25701
PIECE_LEN = 700
TIMEOUT_S = 60

COMMANDS = {
    name: number
    for number, name in enumerate(
        "status slots slot value erase key csr chain certificate destroy phase activate confirm "
        "rollback lock reset update token token-size evidence iak info load abort result error".split()
    )
}


class ErrorV1(error.ErrorV1):
    _GROUP_ID = GROUP


class ErrorV2(error.ErrorV2[int]):
    _GROUP_ID = GROUP


class Anything:
    """A response's map, whatever is in it; an error is none."""

    model_config = {"extra": "allow", "frozen": True}

    @model_validator(mode="before")
    @classmethod
    def is_no_error(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if "err" in fields or "rc" in fields:
            raise ValueError("an error")
        return fields


def request(name: str, write: bool, fields: dict[str, Any]):
    """A request as smpclient has them: a class for each command."""
    kind, answer = (
        (message.WriteRequest, message.WriteResponse)
        if write
        else (message.ReadRequest, message.ReadResponse)
    )
    place = {"_GROUP_ID": GROUP, "_COMMAND_ID": COMMANDS[name]}
    allowed = {"model_config": Anything.model_config}
    kind = type("Request", (kind,), {**place, **allowed})
    kind._Response = type("Response", (Anything, answer), {**place, **allowed})
    kind._ErrorV1, kind._ErrorV2 = ErrorV1, ErrorV2
    return kind(**fields)


class Refused(Exception):
    """The device's error: `rc` of this group, or mcumgr's own."""


class Group:
    """The commands over one connection."""

    def __init__(self, transport: SMPTransport, address: str):
        self.loop = asyncio.new_event_loop()
        self.client = SMPClient(transport, address, timeout_s=TIMEOUT_S)
        self.loop.run_until_complete(self.client.connect(TIMEOUT_S))

    def close(self) -> None:
        self.loop.run_until_complete(self.client.disconnect())
        self.loop.close()

    def _ask(self, name: str, write: bool, fields: dict[str, Any]) -> dict[str, Any]:
        asked = self.client.request(request(name, write, fields), timeout_s=TIMEOUT_S)
        response = self.loop.run_until_complete(asked)
        if error_v2(response):
            assert response.err.group == GROUP
            raise Refused(response.err.rc)
        if error_v1(response):
            raise Refused(f"mcumgr {int(response.rc)}")
        return dict(response.model_extra)

    def read(self, name: str, **fields) -> dict[str, Any]:
        return self._ask(name, False, fields)

    def write(self, name: str, **fields) -> dict[str, Any]:
        return self._ask(name, True, fields)

    def refuses(self, rc: int | str, name: str, write: bool = False, **fields) -> None:
        """Asks what must be refused, with that number."""
        with pytest.raises(Refused) as refused:
            self._ask(name, write, fields)
        assert refused.value.args == (rc,), name

    def fetch(self, first: dict[str, Any]) -> bytes:
        """A long value's other pieces."""
        value = first["data"]
        while len(value) < first["len"]:
            piece = self.read("result", sha=first["sha"], off=len(value))
            assert piece["off"] == len(value)
            value += piece["data"]
        assert hashlib.sha256(value).digest() == first["sha"]
        return value

    def value(self, name: str, **fields) -> bytes:
        """A long value."""
        return self.fetch(self.read(name, **fields))

    def load(self, value: bytes) -> bytes:
        """Loads a long value in pieces; it then goes by its digest."""
        sha = hashlib.sha256(value).digest()
        for off in range(0, len(value), PIECE_LEN):
            piece = value[off : off + PIECE_LEN]
            length = {"len": len(value)} if off == 0 else {}
            taken = self.write("load", sha=sha, off=off, data=piece, **length)
            assert taken["off"] == off + len(piece)
        return sha


class ShellTransport(SMPTransport):
    """smpclient's framing over the shell's UART, which Twister has open."""

    mtu = max_unencoded_size = 1020

    def __init__(self, device):
        self.device = device

    async def connect(self, address: str, timeout_s: float) -> None:
        pass

    async def disconnect(self) -> None:
        pass

    async def send(self, data: bytes) -> None:
        for line in packet.encode(data):
            self.device.write(line)

    async def receive(self) -> bytes:
        decoder = packet.decode()
        next(decoder)
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            line = self.device.readline(timeout=TIMEOUT_S).encode()
            # The prompt may stand before a frame.
            starts = [at for at in map(line.find, (b"\x06\x09", b"\x04\x14")) if at >= 0]
            if starts:
                try:
                    decoder.send(line[min(starts) :] + b"\n")
                except StopIteration as decoded:
                    return decoded.value
        raise TimeoutError

    async def send_and_receive(self, data: bytes) -> bytes:
        await self.send(data)
        return await self.receive()

    def initialize(self, smp_server_transport_buffer_size: int) -> None:
        pass
