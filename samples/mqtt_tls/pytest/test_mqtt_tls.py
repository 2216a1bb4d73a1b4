# SPDX-License-Identifier: Apache-2.0
"""A device's life with a broker that knows it by its certificate alone.

The tests are one story, in their order: each goes on where the one before ended.
"""

import pytest
from ca import Authority, der
from broker import Broker
from cryptography import x509

NAME = "device-1"
SLOT = "ldevid0"
PENDING = f"{SLOT}/pending"
STATE = f"devices/{NAME}/state"

SUPERSEDED = x509.ReasonFlags.superseded
COMPROMISED = x509.ReasonFlags.key_compromise


def enrol(client, authority, slot: str) -> x509.Certificate:
    """Makes a key in a bank, and brings the certificate for it."""
    client.value("SPKI", f"id gen {slot}")
    request = x509.load_der_x509_csr(client.value("CSR", f"id csr {slot} cn={NAME}"))
    certificate = authority.issue_to(request)
    client.load(der(certificate) + der(authority.root))
    client.ok(f"id install {slot} -")
    return certificate


def use(client, broker: Broker, host: str) -> None:
    address = f"{host}:{broker.port}"
    client.ok(f"slot write endpoint text:{address} {len(address)}")


@pytest.fixture(scope="module")
def certificates() -> list[x509.Certificate]:
    """All that the device ever had, the newest last."""
    return []


def test_a_device_without_an_identity_does_not_connect(client, broker, host):
    use(client, broker, host)
    assert client.mqtt("connect") == "failed: -2"


def test_the_certificate_is_the_user_name(client, broker, authority, certificates):
    client.load(der(authority.root))
    client.ok("slot write anchor1 -")
    certificates.append(enrol(client, authority, SLOT))
    client.connects()
    broker.wait_for(f"u'{NAME}'")
    client.publishes(STATE, "up")
    broker.wait_for_message(f"{STATE} up")


def test_a_device_speaks_for_itself_alone(client, broker):
    client.publishes("devices/device-2/state", "down")
    broker.wait_for("Denied PUBLISH from device-1")
    assert not any(line.startswith("devices/device-2/") for line in broker.heard())


def test_a_rotation_does_not_disturb_the_connection(client, broker, authority, certificates):
    certificates.append(enrol(client, authority, PENDING))
    client.publishes(STATE, "enrolled")
    client.ok(f"id activate {SLOT}")
    client.publishes(STATE, "activated")
    broker.wait_for_message(f"{STATE} activated")
    client.leaves()


def test_the_new_certificate_connects_where_the_old_is_revoked(
    client, broker, authority, certificates
):
    authority.revoke(certificates[0], SUPERSEDED)
    broker.reload()
    client.connects()
    client.publishes(STATE, "rotated")
    broker.wait_for_message(f"{STATE} rotated")
    client.leaves()


def test_the_replaced_identity_is_refused(client, broker):
    # Not confirmed yet: the rollback brings back the old key and certificate.
    client.ok(f"id rollback {SLOT}")
    client.is_refused()
    broker.wait_for("certificate verify failed")


def test_a_confirmed_rotation_stays(client, broker, authority, certificates):
    certificates.append(enrol(client, authority, PENDING))
    client.ok(f"id activate {SLOT}")
    client.connects()
    client.ok(f"id confirm {SLOT}")
    client.fails(f"id rollback {SLOT}", "ENOENT")
    client.publishes(STATE, "confirmed")
    broker.wait_for_message(f"{STATE} confirmed")
    client.leaves()


def test_a_broker_of_another_authority_is_not_trusted(client, broker, host, tmp_path):
    stranger = Broker(tmp_path, Authority("Another CA"), ciphers=broker.ciphers)
    stranger.start()
    try:
        use(client, stranger, host)
        assert client.mqtt("connect") == "failed: -13"
        stranger.wait_for("alert")
        # Nor one that does not stand where its certificate says.
        other = Broker(
            tmp_path, broker.authority, addresses=["192.0.2.1"], ciphers=broker.ciphers
        )
        stranger.stop()
        other.start()
        use(client, other, host)
        assert client.mqtt("connect") == "failed: -13"
        other.stop()
    finally:
        stranger.stop()
    use(client, broker, host)


def test_a_revoked_certificate_is_refused(client, broker, authority, certificates):
    client.connects()
    client.leaves()
    authority.revoke(certificates[-1], COMPROMISED)
    broker.reload()
    client.is_refused()
    broker.wait_for("certificate verify failed")
