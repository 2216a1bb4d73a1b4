/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <string.h>

#include "contract.h"

/* {1: -7, 3: "application/devid-update+cbor"} */
static const char protected_header[] = "\xa2\x01\x26\x03\x78\x1d"
				       "application/devid-update+cbor";
#define PROTECTED_LEN (sizeof(protected_header) - 1)

/* CBOR's major types. */
enum major {
	UNSIGNED = 0,
	BYTES = 2,
	TEXT = 3,
	ARRAY = 4,
	MAP = 5,
	TAG = 6,
};

struct cbor {
	uint8_t *at;
	size_t left;
	bool full;
};

static void put(struct cbor *cbor, const void *bytes, size_t len)
{
	if (cbor->left < len) {
		cbor->full = true;
		return;
	}
	memcpy(cbor->at, bytes, len);
	cbor->at += len;
	cbor->left -= len;
}

/* The shortest head, as deterministic CBOR asks. */
static void put_head(struct cbor *cbor, enum major major, uint64_t number)
{
	uint8_t head[9];
	size_t bytes = 0;

	if (number >= 24) {
		bytes = 1;
		while (bytes < 8 && (number >> (8 * bytes)) != 0) {
			bytes *= 2;
		}
	}
	head[0] = (uint8_t)(major << 5);
	switch (bytes) {
	case 0:
		head[0] |= (uint8_t)number;
		break;
	case 1:
		head[0] |= 24;
		break;
	case 2:
		head[0] |= 25;
		break;
	case 4:
		head[0] |= 26;
		break;
	default:
		head[0] |= 27;
		break;
	}
	for (size_t i = 0; i < bytes; i++) {
		head[1 + i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
	}
	put(cbor, head, 1 + bytes);
}

static void put_string(struct cbor *cbor, enum major major, const void *bytes, size_t len)
{
	put_head(cbor, major, len);
	put(cbor, bytes, len);
}

static void put_number(struct cbor *cbor, uint64_t key, uint64_t number)
{
	put_head(cbor, UNSIGNED, key);
	put_head(cbor, UNSIGNED, number);
}

static void put_payload(struct cbor *cbor, const struct command *command)
{
	const bool has_slot = command->slot >= 0;
	const bool has_value = command->value != NULL;
	const bool has_expiry = command->expiry != 0;

	put_head(cbor, MAP, 3u + has_slot + has_value + has_expiry);
	put_head(cbor, UNSIGNED, 1);
	if (command->group != NULL) {
		put_string(cbor, TEXT, command->group, strlen(command->group));
	} else {
		put_string(cbor, BYTES, command->instance_id, INSTANCE_ID_LEN);
	}
	put_number(cbor, 2, command->sequence);
	put_number(cbor, 3, command->operation);
	if (has_slot) {
		put_number(cbor, 4, (uint64_t)command->slot);
	}
	if (has_value) {
		put_head(cbor, UNSIGNED, 5);
		put_string(cbor, BYTES, command->value, command->value_len);
	}
	if (has_expiry) {
		put_number(cbor, 6, command->expiry);
	}
}

size_t sign_command(const struct command *command, uint8_t *out, size_t size)
{
	static uint8_t payload[1536];
	static uint8_t to_be_signed[sizeof(payload) + 64];
	struct cbor content = {payload, sizeof(payload), false};
	struct cbor signing = {to_be_signed, sizeof(to_be_signed), false};
	struct cbor message = {out, size, false};
	uint8_t signature[64];
	size_t payload_len;

	put_payload(&content, command);
	payload_len = (size_t)(content.at - payload);

	/* Sig_structure (RFC 9052, 4.4). */
	put_head(&signing, ARRAY, 4);
	put_string(&signing, TEXT, "Signature1", 10);
	put_string(&signing, BYTES, protected_header, PROTECTED_LEN);
	put_string(&signing, BYTES, "", 0);
	put_string(&signing, BYTES, payload, payload_len);
	if (content.full || signing.full ||
	    !contract_key_sign(command->signer, to_be_signed,
			       (size_t)(signing.at - to_be_signed), signature)) {
		return 0;
	}

	/* COSE_Sign1 (RFC 9052, 4.2). */
	put_head(&message, TAG, 18);
	put_head(&message, ARRAY, 4);
	put_string(&message, BYTES, protected_header, PROTECTED_LEN);
	put_head(&message, MAP, 0);
	put_string(&message, BYTES, payload, payload_len);
	put_string(&message, BYTES, signature, sizeof(signature));
	return message.full ? 0 : (size_t)(message.at - out);
}
