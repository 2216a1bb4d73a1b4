# SPDX-License-Identifier: Apache-2.0
"""A device with an empty shell, and the broker it is for."""

import pathlib
import re
import sys

import pytest
from ca import Authority
from broker import CIPHERS, LISTEN, MOSQUITTO, Broker
from twister_harness import DeviceAdapter, Shell

sys.path.append(str(pathlib.Path(__file__).parents[2] / "shell/pytest"))
from console import ESCAPES, PROMPT, Console  # noqa: E402


class Client(Console):
    """The shell of a device that speaks MQTT."""

    def mqtt(self, command: str) -> str:
        """What comes of a command of `mqtt`: its event, without the prefix."""
        self.dut.clear_buffer()
        self.dut.write(f"mqtt {command}\n".encode())
        return self.event()

    def event(self) -> str:
        """The next event."""
        line = self.dut.readlines_until(regex="MQTT: ", timeout=60)[-1]
        return re.sub(".*MQTT: ", "", ESCAPES.sub("", line)).rstrip()

    def connects(self) -> None:
        assert self.mqtt("connect").startswith("connected to ")

    def is_refused(self) -> None:
        """The broker ends the handshake: by its alert, or the closed connection comes first."""
        assert self.mqtt("connect") in ("failed: -111", "failed: -104")

    def leaves(self) -> None:
        assert self.mqtt("disconnect") == "disconnected: 0"

    def publishes(self, topic: str, text: str) -> None:
        assert self.mqtt(f"publish {topic} {text}").startswith("acknowledged ")


def pytest_addoption(parser) -> None:
    parser.addoption("--ciphers", default=CIPHERS, help="the one cipher suite that brokers take")


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority("Operator CA")


@pytest.fixture(scope="session")
def broker(request, tmp_path_factory, authority):
    """mosquitto, while the session lasts."""
    if not (MOSQUITTO and LISTEN):
        pytest.skip("mosquitto is not installed: Debian's packages mosquitto, mosquitto-clients")
    ciphers = request.config.getoption("--ciphers")
    broker = Broker(tmp_path_factory.mktemp("broker"), authority, ciphers=ciphers)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def client(broker, dut: DeviceAdapter) -> Client:
    """The shell of a device without an identity."""
    assert Shell(dut, prompt=PROMPT.rstrip()).wait_for_prompt(timeout=30)
    client = Client(dut)
    # native_sim keeps its flash from run to run.
    client.run("reset yes")
    for slot in ("anchor0", "anchor1", "endpoint"):
        client.run(f"slot erase {slot}")
    return client


@pytest.fixture(scope="session")
def host(request) -> str:
    """Where a device finds the machine that runs it."""
    return "127.0.0.1" if "native_sim" in request.config.getoption("--platform") else "10.0.2.2"
