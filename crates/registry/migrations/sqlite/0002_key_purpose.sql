-- SPDX-License-Identifier: Apache-2.0
-- What a key is for: 0 attestation, 1 an identity, which signs no tokens.
ALTER TABLE device_key ADD COLUMN purpose SMALLINT NOT NULL DEFAULT 0;
