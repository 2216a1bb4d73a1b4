# SPDX-License-Identifier: Apache-2.0
"""A real mosquitto that knows its clients by their certificates alone."""

import getpass
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from ca import Authority, pem
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

# Debian puts it where a user's PATH may not reach.
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin") or shutil.which("mosquitto")
LISTEN = shutil.which("mosquitto_sub")

# The suite that the sample offers in any case.
CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256"

# 127.0.0.1 seen from QEMU's user networking.
ADDRESSES = ["127.0.0.1", "10.0.2.2"]

PATIENCE = 10.0

CONFIGURATION = """\
user {user}
per_listener_settings true
log_dest stderr
log_type all

listener {port} 127.0.0.1
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.key
require_certificate true
ciphers {ciphers}
use_identity_as_username true
use_username_as_clientid true
crlfile {folder}/crl.pem
acl_file {folder}/acl

# The operator's, who hears everything.
listener {operator_port} 127.0.0.1
allow_anonymous true
"""

# %u is the name in the certificate: a device speaks for itself alone.
ACL = "pattern write devices/%u/#\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """mosquitto, from start() to stop()."""

    def __init__(
        self,
        folder: pathlib.Path,
        authority: Authority,
        addresses=ADDRESSES,
        ciphers: str = CIPHERS,
    ):
        self.folder = folder
        self.authority = authority
        self.ciphers = ciphers
        self.port, self.operator_port = free_port(), free_port()
        key = ec.generate_private_key(ec.SECP256R1())
        self._write("ca.pem", pem(authority.root))
        self._write("broker.pem", pem(authority.issue_server(key.public_key(), addresses)))
        self._write(
            "broker.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        self._write("acl", ACL.encode())
        configuration = CONFIGURATION.format(
            user=getpass.getuser(),
            folder=folder,
            ciphers=ciphers,
            port=self.port,
            operator_port=self.operator_port,
        )
        self._write("mosquitto.conf", configuration.encode())
        self.processes: list[subprocess.Popen] = []

    def start(self) -> None:
        self._write("crl.pem", pem(self.authority.crl()))
        log = (self.folder / "mosquitto.log").open("wb")
        self.waited = 0
        self._run(MOSQUITTO, "-c", str(self.folder / "mosquitto.conf"), stderr=log)
        self.wait_for(" running")
        listen = [LISTEN, "-h", "127.0.0.1", "-p", str(self.operator_port), "-t", "#", "-v"]
        self._run(*listen, stdout=(self.folder / "heard").open("wb"))
        self.wait_for("SUBACK")

    def reload(self) -> None:
        """Hands mosquitto what the authority revoked since; connections go on."""
        self._write("crl.pem", pem(self.authority.crl()))
        self.processes[0].send_signal(signal.SIGHUP)
        self.wait_for("Reloading config")

    def stop(self) -> None:
        while self.processes:
            process = self.processes.pop()
            process.terminate()
            process.wait(timeout=10)

    def log(self) -> list[str]:
        return (self.folder / "mosquitto.log").read_text().splitlines()

    def heard(self) -> list[str]:
        """What the operator heard: '<topic> <text>' each."""
        return (self.folder / "heard").read_text().splitlines()

    def wait_for(self, text: str) -> None:
        """Waits for a line with a text, later in the log than what was waited for before."""
        end = time.monotonic() + PATIENCE
        while True:
            log = self.log()
            for place in range(self.waited, len(log)):
                if text in log[place]:
                    self.waited = place + 1
                    return
            assert time.monotonic() < end, (text, log)
            time.sleep(0.05)

    def wait_for_message(self, message: str) -> None:
        end = time.monotonic() + PATIENCE
        while message not in self.heard():
            assert time.monotonic() < end, (message, self.heard())
            time.sleep(0.05)

    def _run(self, *words: str, **kwargs) -> None:
        self.processes.append(subprocess.Popen(words, **kwargs))

    def _write(self, file: str, content: bytes) -> None:
        (self.folder / file).write_bytes(content)
