-- SPDX-License-Identifier: Apache-2.0
-- Times are seconds since 1970. `state`: 0 pending, 1 approved, 2 revoked.

CREATE TABLE device (
    id         INTEGER PRIMARY KEY,
    state      SMALLINT NOT NULL CHECK (state IN (0, 1, 2)),
    sku        TEXT,
    serial     TEXT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX device_serial ON device (serial, sku) WHERE serial IS NOT NULL;
-- Those that wait are few among many, and are counted at each registration.
CREATE INDEX device_pending ON device (id) WHERE state = 0;

CREATE TABLE device_key (
    id          INTEGER PRIMARY KEY,
    device_id   BIGINT NOT NULL REFERENCES device (id),
    spki_sha256 BLOB NOT NULL UNIQUE,
    spki        BLOB NOT NULL
);
CREATE INDEX device_key_device ON device_key (device_id);

-- The names by which a token asks for a key: two derive from each.
CREATE TABLE instance (
    instance_id BLOB NOT NULL,
    key_id      BIGINT NOT NULL REFERENCES device_key (id),
    PRIMARY KEY (instance_id, key_id)
) WITHOUT ROWID;

-- A CA's certificate stands here once, however many chains end in it.
CREATE TABLE certificate (
    id     INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    der    BLOB NOT NULL
);
CREATE TABLE chain (
    key_id         BIGINT NOT NULL REFERENCES device_key (id),
    position       SMALLINT NOT NULL,
    certificate_id BIGINT NOT NULL REFERENCES certificate (id),
    PRIMARY KEY (key_id, position)
) WITHOUT ROWID;

CREATE TABLE event (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id BIGINT NOT NULL REFERENCES device (id),
    at        BIGINT NOT NULL,
    kind      TEXT NOT NULL,
    detail    TEXT NOT NULL
);
CREATE INDEX event_device ON event (device_id);
CREATE TRIGGER event_keeps_rows BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_keeps_values BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- A nonce begins with its expiry, so that new ones go to the tree's end and old
-- ones leave from its start.
CREATE TABLE used_nonce (
    nonce BLOB PRIMARY KEY
) WITHOUT ROWID;

-- What each key has signed, by the ECDSA nonce's trace in the signature.
CREATE TABLE signature (
    key_id        BIGINT NOT NULL REFERENCES device_key (id),
    r             BLOB NOT NULL,
    signed_sha256 BLOB NOT NULL,
    PRIMARY KEY (key_id, r)
) WITHOUT ROWID;

CREATE TABLE secret (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
