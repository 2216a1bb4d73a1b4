/* SPDX-License-Identifier: Apache-2.0 */
/* Cases about the device's life: rotation, bound evidence, readiness, updates, reset, lock. */
#include "cases.h"

#include <errno.h>
#include <string.h>

#include <devid/devid.h>

#include "command.h"
#include "issuer.h"

#define LDEVID   0x01
#define PENDING  (LDEVID | DEVID_PENDING)
#define ANCHOR_1 0x21
#define ENDPOINT 0x31

#define SPKI_LEN  91
#define POINT_LEN 65

/* What a nonce begins with that vouches for a key; a SHA-256 stands behind it. */
#define BOUND_PREFIX     "devid-bound-key2"
#define BOUND_PREFIX_LEN 16
#define NONCE_LEN        (BOUND_PREFIX_LEN + 32)

/* What devid_last_error() tells of a refusal: enum Refusal in crates/core/src/error.rs. */
#define CODE_REFUSED           12
#define REFUSAL_KEY_MISMATCH   1
#define REFUSAL_KEY_USAGE      5
#define REFUSAL_EXPIRED        8
#define REFUSAL_SEQUENCE       13
#define REFUSAL_TARGET         14
#define REFUSAL_UNKNOWN_SIGNER 15
#define REFUSAL_LAST_ANCHOR    16
#define REFUSAL_OPERATION      17
#define REFUSAL_TIME_FLOOR     19

/* The validity of the certificates that the cases issue. */
#define IN_2021    1609459200
#define IN_2049    2493072000
#define AFTER_2050 2524694400

static bool refused_for(int32_t reason)
{
	struct devid_error error;

	return devid_last_error(&error) == 0 && error.code == CODE_REFUSED &&
	       error.detail == reason;
}

static bool phase_is(uint8_t slot, enum devid_phase expected)
{
	enum devid_phase phase;

	return devid_id_phase(slot, &phase) == 0 && phase == expected;
}

static bool public_key(uint8_t slot, uint8_t spki[SPKI_LEN])
{
	size_t len;

	return devid_id_public_key(slot, spki, SPKI_LEN, &len) == 0 && len == SPKI_LEN;
}

static bool has_key(uint8_t slot, const uint8_t expected[SPKI_LEN])
{
	uint8_t spki[SPKI_LEN];

	return public_key(slot, spki) && memcmp(spki, expected, SPKI_LEN) == 0;
}

/* Issues a chain over the point, of a leaf of that name; its length, 0 on failure. */
static size_t chain_over(const uint8_t *point, const char *leaf)
{
	struct chain chain;

	if (!prepare(&chain, point)) {
		return 0;
	}
	chain.leaf.subject = leaf;
	return issue_chain(&chain);
}

/* Makes a slot's key, or its pending bank's, and installs a chain over it. */
static bool provisioned(uint8_t slot, const char *leaf)
{
	uint8_t point[POINT_LEN];

	EXPECT(generated(slot, point));
	EXPECT(devid_id_install(slot, value, chain_over(point, leaf), DEVID_NO_TIME, NULL) == 0);
	return true;
}

static bool leaf_is_named(uint8_t slot, const char *name)
{
	size_t len;

	return devid_id_certificate(slot, 0, buf, sizeof(buf), &len) == 0 &&
	       contains(buf, len, (const uint8_t *)name, strlen(name));
}

/*
 * Rotation
 */

bool refuses_bad_arguments_about_rotation(void)
{
	static union {
		enum devid_phase phases[2];
		uint32_t keys[2];
		uint8_t bytes[8];
	} place;

	EXPECT(devid_id_phase(LDEVID, NULL) == -EINVAL);
	EXPECT(devid_id_key(LDEVID, NULL) == -EINVAL);
	EXPECT(devid_id_key(LDEVID, (uint32_t *)(place.bytes + 1)) == -EINVAL);
	EXPECT(devid_id_phase(SERIAL, &place.phases[0]) == -ENOTSUP);
	EXPECT(devid_id_key(SERIAL, &place.keys[0]) == -ENOTSUP);
	EXPECT(devid_id_activate(SERIAL) == -ENOTSUP);
	EXPECT(devid_id_confirm(SERIAL) == -ENOTSUP);
	EXPECT(devid_id_rollback(SERIAL) == -ENOTSUP);
	EXPECT(devid_id_phase(UNKNOWN, &place.phases[0]) == -ENXIO);
	EXPECT(devid_id_key(UNKNOWN, &place.keys[0]) == -ENXIO);
	EXPECT(devid_id_activate(UNKNOWN) == -ENXIO);
	EXPECT(devid_id_confirm(UNKNOWN) == -ENXIO);
	EXPECT(devid_id_rollback(UNKNOWN) == -ENXIO);

	/* Identities alone have a pending bank. */
	EXPECT(devid_id_generate(SERIAL | DEVID_PENDING) == -ENXIO);
	EXPECT(devid_slot_write(SERIAL | DEVID_PENDING, value, 1) == -ENXIO);
	EXPECT(devid_slot_erase(ANCHOR | DEVID_PENDING) == -ENXIO);
	return true;
}

bool refuses_a_rotation_out_of_order(void)
{
	uint8_t active[POINT_LEN];
	uint8_t pending[POINT_LEN];
	uint32_t key;
	size_t len;

	/* Without a key. */
	EXPECT(devid_id_generate(PENDING) == -ENOENT);
	EXPECT(devid_id_install(PENDING, value, 1, DEVID_NO_TIME, NULL) == -ENOENT);
	EXPECT(devid_id_activate(LDEVID) == -ENOENT);
	EXPECT(devid_id_confirm(LDEVID) == -ENOENT);
	EXPECT(devid_id_rollback(LDEVID) == -ENOENT);
	EXPECT(devid_slot_erase(PENDING) == -ENOENT);

	/* With a key, without a chain that a renewal could replace. */
	EXPECT(generated(LDEVID, active));
	len = chain_over(active, "first");
	EXPECT(devid_id_install(PENDING, value, len, DEVID_NO_TIME, NULL) == -ENOENT);
	EXPECT(devid_id_install(LDEVID, value, len, DEVID_NO_TIME, NULL) == 0);
	EXPECT(devid_id_activate(LDEVID) == -ENOENT);
	EXPECT(phase_is(LDEVID, DEVID_PHASE_SETTLED));

	/* With a pending key. */
	EXPECT(generated(PENDING, pending));
	EXPECT(devid_id_generate(PENDING) == -EEXIST);
	EXPECT(devid_id_activate(LDEVID) == -ENOENT);
	EXPECT(devid_id_confirm(LDEVID) == -ENOENT);
	EXPECT(devid_slot_erase(LDEVID) == -EBUSY);
	EXPECT(devid_id_install(LDEVID, value, len, DEVID_NO_TIME, NULL) == -EBUSY);
	EXPECT(devid_id_install(PENDING, value, len, DEVID_NO_TIME, NULL) == -EPERM);
	EXPECT(refused_for(REFUSAL_KEY_MISMATCH));
	len = chain_over(pending, "second");
	EXPECT(devid_id_install(PENDING, value, len, DEVID_NO_TIME, NULL) == 0);
	EXPECT(devid_id_activate(PENDING) == -ENOTSUP);
	EXPECT(phase_is(LDEVID, DEVID_PHASE_PENDING));

	/* Activated. */
	EXPECT(devid_id_activate(LDEVID) == 0);
	EXPECT(devid_id_activate(LDEVID) == -EBUSY);
	EXPECT(devid_id_generate(LDEVID) == -EEXIST);
	EXPECT(devid_id_generate(PENDING) == -EBUSY);
	EXPECT(devid_id_public_key(PENDING, buf, sizeof(buf), &len) == -EBUSY);
	EXPECT(devid_id_csr(PENDING, NULL, buf, sizeof(buf), &len) == -EBUSY);
	EXPECT(devid_id_key(PENDING, &key) == -EBUSY);
	len = chain_over(pending, "third");
	EXPECT(devid_id_install(PENDING, value, len, DEVID_NO_TIME, NULL) == -EBUSY);
	EXPECT(devid_id_install(LDEVID, value, len, DEVID_NO_TIME, NULL) == -EBUSY);
	EXPECT(devid_slot_erase(PENDING) == -EBUSY);
	EXPECT(devid_slot_erase(LDEVID) == -EBUSY);

	/* Confirmed. */
	EXPECT(devid_id_confirm(LDEVID) == 0);
	EXPECT(devid_id_confirm(LDEVID) == -ENOENT);
	EXPECT(devid_id_rollback(LDEVID) == -ENOENT);
	EXPECT(leaf_is_named(LDEVID, "second"));
	return true;
}

bool a_rotation_ends_with_confirm_alone(void)
{
	uint8_t old[SPKI_LEN];
	uint8_t new[SPKI_LEN];
	uint8_t point[POINT_LEN];
	uint32_t old_key;
	uint32_t new_key;
	size_t len;

	EXPECT(provisioned(LDEVID, "first"));
	EXPECT(phase_is(LDEVID, DEVID_PHASE_SETTLED));
	EXPECT(public_key(LDEVID, old));
	EXPECT(devid_id_key(LDEVID, &old_key) == 0);

	/* Prepared: the old identity is in use as before. */
	EXPECT(provisioned(PENDING, "second"));
	EXPECT(phase_is(LDEVID, DEVID_PHASE_PENDING));
	EXPECT(public_key(PENDING, new) && memcmp(old, new, SPKI_LEN) != 0);
	EXPECT(devid_id_csr(PENDING, NULL, buf, sizeof(buf), &len) == 0);
	EXPECT(contains(buf, len, new, SPKI_LEN));
	EXPECT(devid_id_csr(LDEVID, NULL, buf, sizeof(buf), &len) == 0);
	EXPECT(contains(buf, len, old, SPKI_LEN));
	EXPECT(has_key(LDEVID, old) && leaf_is_named(LDEVID, "first"));
	EXPECT(leaf_is_named(PENDING, "second"));

	/* Activated: the new one is, and the old key is there still. */
	EXPECT(devid_id_activate(LDEVID) == 0);
	EXPECT(phase_is(LDEVID, DEVID_PHASE_ACTIVATED));
	EXPECT(has_key(LDEVID, new) && leaf_is_named(LDEVID, "second"));
	EXPECT(devid_id_key(LDEVID, &new_key) == 0 && new_key != old_key);
	EXPECT(contract_psa_point(new_key, point));
	EXPECT(memcmp(point, new + SPKI_LEN - POINT_LEN, POINT_LEN) == 0);
	EXPECT(contract_psa_point(old_key, point));
	EXPECT(memcmp(point, old + SPKI_LEN - POINT_LEN, POINT_LEN) == 0);

	/* Confirmed: the old key is gone. */
	EXPECT(devid_id_confirm(LDEVID) == 0);
	EXPECT(phase_is(LDEVID, DEVID_PHASE_SETTLED));
	EXPECT(!contract_psa_point(old_key, point));
	EXPECT(has_key(LDEVID, new) && leaf_is_named(LDEVID, "second"));
	EXPECT(devid_id_public_key(PENDING, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_slot_read(PENDING, buf, sizeof(buf), &len) == -ENOENT);
	return true;
}

bool a_rollback_brings_back_what_was(void)
{
	uint8_t old[SPKI_LEN];
	uint8_t point[POINT_LEN];
	uint32_t old_key;
	uint32_t key;
	size_t len;

	EXPECT(provisioned(LDEVID, "first"));
	EXPECT(public_key(LDEVID, old));
	EXPECT(devid_id_key(LDEVID, &old_key) == 0);

	/* Of a pending key. */
	EXPECT(devid_id_generate(PENDING) == 0);
	EXPECT(devid_id_rollback(LDEVID) == 0);
	EXPECT(devid_id_public_key(PENDING, buf, sizeof(buf), &len) == -ENOENT);

	/* Of a pending key and chain, by an erase. */
	EXPECT(provisioned(PENDING, "second"));
	EXPECT(devid_slot_erase(PENDING) == 0);
	EXPECT(phase_is(LDEVID, DEVID_PHASE_SETTLED));

	/* Of an activation. */
	EXPECT(provisioned(PENDING, "third"));
	EXPECT(devid_id_activate(LDEVID) == 0);
	EXPECT(devid_id_key(LDEVID, &key) == 0 && key != old_key);
	EXPECT(devid_id_rollback(LDEVID) == 0);
	EXPECT(phase_is(LDEVID, DEVID_PHASE_SETTLED));
	EXPECT(has_key(LDEVID, old) && leaf_is_named(LDEVID, "first"));
	EXPECT(!contract_psa_point(key, point));
	EXPECT(devid_id_key(LDEVID, &key) == 0 && key == old_key);
	EXPECT(devid_id_rollback(LDEVID) == -ENOENT);
	return true;
}

bool a_renewal_keeps_the_key(void)
{
	uint8_t spki[SPKI_LEN];
	const uint8_t *point = spki + SPKI_LEN - POINT_LEN;
	uint32_t old_key;
	uint32_t key;
	size_t len;

	EXPECT(provisioned(LDEVID, "first"));
	EXPECT(public_key(LDEVID, spki));
	EXPECT(devid_id_key(LDEVID, &old_key) == 0);

	len = chain_over(point, "second");
	EXPECT(devid_id_install(PENDING, value, len, DEVID_NO_TIME, NULL) == 0);
	EXPECT(phase_is(LDEVID, DEVID_PHASE_PENDING));
	EXPECT(devid_id_generate(PENDING) == -EBUSY);
	EXPECT(leaf_is_named(LDEVID, "first"));
	EXPECT(devid_id_activate(LDEVID) == 0);
	EXPECT(leaf_is_named(LDEVID, "second"));
	EXPECT(devid_id_rollback(LDEVID) == 0);
	EXPECT(leaf_is_named(LDEVID, "first"));

	len = chain_over(point, "third");
	EXPECT(devid_id_install(PENDING, value, len, DEVID_NO_TIME, NULL) == 0);
	EXPECT(devid_id_activate(LDEVID) == 0);
	EXPECT(devid_id_confirm(LDEVID) == 0);
	EXPECT(phase_is(LDEVID, DEVID_PHASE_SETTLED));
	EXPECT(leaf_is_named(LDEVID, "third"));
	EXPECT(has_key(LDEVID, spki));
	EXPECT(devid_id_key(LDEVID, &key) == 0 && key == old_key);
	return true;
}

bool rotations_follow_each_other(void)
{
	static const char *const leaves[] = {"second", "third", "fourth"};
	uint8_t factory[SPKI_LEN];
	uint8_t before[SPKI_LEN];

	/* The factory's identity takes no notice. */
	EXPECT(devid_id_generate(IDEVID) == 0);
	EXPECT(public_key(IDEVID, factory));
	EXPECT(provisioned(LDEVID, "first"));
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		EXPECT(public_key(LDEVID, before));
		EXPECT(provisioned(PENDING, leaves[i]));
		EXPECT(devid_id_activate(LDEVID) == 0);
		EXPECT(devid_id_confirm(LDEVID) == 0);
		EXPECT(!has_key(LDEVID, before));
		EXPECT(leaf_is_named(LDEVID, leaves[i]));
	}
	EXPECT(has_key(IDEVID, factory));
	return true;
}

bool no_private_key_leaves_psa(void)
{
	uint32_t active;
	uint32_t pending;

	EXPECT(devid_id_key(LDEVID, &active) == 0);
	EXPECT(!contract_psa_seals(active));
	EXPECT(devid_id_generate(LDEVID) == 0);
	EXPECT(devid_id_generate(PENDING) == 0);
	EXPECT(devid_id_key(LDEVID, &active) == 0);
	EXPECT(devid_id_key(PENDING, &pending) == 0 && pending != active);
	EXPECT(contract_psa_seals(active));
	EXPECT(contract_psa_seals(pending));
	return true;
}

bool a_reset_takes_operational_identities_alone(void)
{
	uint8_t factory[SPKI_LEN];
	uint8_t point[POINT_LEN];
	uint32_t old_key;
	uint32_t new_key;
	size_t len;

	EXPECT(provisioned(IDEVID, "factory"));
	EXPECT(public_key(IDEVID, factory));
	EXPECT(devid_slot_write(ENDPOINT, (const uint8_t *)"kept", 4) == 0);
	EXPECT(provisioned(LDEVID, "first"));
	EXPECT(devid_id_key(LDEVID, &old_key) == 0);
	EXPECT(provisioned(PENDING, "second"));
	EXPECT(devid_id_activate(LDEVID) == 0);
	EXPECT(devid_id_key(LDEVID, &new_key) == 0);

	EXPECT(devid_reset() == 0);
	EXPECT(phase_is(LDEVID, DEVID_PHASE_SETTLED));
	EXPECT(devid_id_public_key(LDEVID, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_id_chain(LDEVID, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(!contract_psa_point(old_key, point) && !contract_psa_point(new_key, point));
	EXPECT(has_key(IDEVID, factory) && leaf_is_named(IDEVID, "factory"));
	EXPECT(devid_slot_read(ENDPOINT, buf, sizeof(buf), &len) == 0 && len == 4);

	/* A new life begins. */
	EXPECT(devid_reset() == 0);
	EXPECT(provisioned(LDEVID, "third"));
	return true;
}

/*
 * Evidence
 */

static const uint8_t challenge[64] = {0xca, 0xfe};

static int read_instance_id(uint8_t *out, size_t size, size_t *len)
{
	return devid_instance_id(out, size, len);
}

/* Whether a token has a claim of bytes under PSA profile 1's key or the RFCs'. */
static bool claims(const uint8_t *token, size_t token_len, const char *psa_key,
		   const char *rfc_key, const uint8_t *bytes, uint8_t len)
{
	const char *keys[] = {psa_key, rfc_key};
	uint8_t claim[8 + NONCE_LEN];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		/* Each key begins with its own length. */
		size_t at = (uint8_t)keys[i][0];

		memcpy(claim, keys[i] + 1, at);
		claim[at++] = 0x58;
		claim[at++] = len;
		memcpy(claim + at, bytes, len);
		if (contains(token, token_len, claim, at + len)) {
			return true;
		}
	}
	return false;
}

static bool claims_nonce(const uint8_t *token, size_t len, const uint8_t nonce[NONCE_LEN])
{
	return claims(token, len, "\x05\x3a\x00\x01\x24\xff", "\x01\x0a", nonce, NONCE_LEN);
}

static bool claims_instance_id(const uint8_t *token, size_t len, const uint8_t *id)
{
	return claims(token, len, "\x05\x3a\x00\x01\x25\x00", "\x03\x19\x01\x00", id,
		      INSTANCE_ID_LEN);
}

bool the_instance_id_is_the_tokens(void)
{
	uint8_t id[INSTANCE_ID_LEN];
	uint8_t point[POINT_LEN];
	uint8_t digest[32];
	size_t len;

	EXPECT(devid_instance_id(id, sizeof(id), &len) == (contract_attests ? 0 : -ENOENT));
	EXPECT(generated(IDEVID, point));
	EXPECT(devid_instance_id(id, sizeof(id), &len) == 0 && len == sizeof(id));
	if (contract_attests) {
		EXPECT(devid_token(challenge, 32, buf, sizeof(buf), &len) == 0);
		EXPECT(claims_instance_id(buf, len, id));
	} else {
		EXPECT(contract_sha256(point, sizeof(point), digest));
		EXPECT(id[0] == 0x01 && memcmp(id + 1, digest, sizeof(digest)) == 0);
	}
	return bad_buffers_are_refused(read_instance_id) &&
	       fits_exactly_or_not_at_all(read_instance_id);
}

/* The nonce of a token that vouches for a slot's key: docs/bound-evidence.md. */
static bool bound_nonce(uint8_t slot, size_t challenge_len, uint8_t nonce[NONCE_LEN])
{
	static const char domain[] = "devid-bound-evidence-v2";
	uint8_t hashed[sizeof(domain) + 1 + 64 + SPKI_LEN];
	uint8_t *at = hashed;

	memcpy(at, domain, sizeof(domain));
	at += sizeof(domain);
	*at++ = (uint8_t)challenge_len;
	memcpy(at, challenge, challenge_len);
	at += challenge_len;
	memcpy(nonce, BOUND_PREFIX, BOUND_PREFIX_LEN);
	return public_key(slot, at) &&
	       contract_sha256(hashed, (size_t)(at - hashed) + SPKI_LEN, nonce + BOUND_PREFIX_LEN);
}

bool bound_evidence_vouches_for_the_key(void)
{
	static const size_t lengths[] = {32, 48, 64};
	static const uint8_t slots[] = {IDEVID, LDEVID, PENDING};
	uint8_t bound[NONCE_LEN];
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
		EXPECT(devid_bound_evidence(slots[i], challenge, 32, buf, sizeof(buf), &len) ==
		       -ENOENT);
		EXPECT(devid_id_generate(slots[i]) == 0);
		if (!contract_attests) {
			EXPECT(devid_bound_evidence(slots[i], challenge, 32, buf, sizeof(buf),
						    &len) == -ENOTSUP);
			continue;
		}
		EXPECT(bound_nonce(slots[i], lengths[i], bound));
		EXPECT(devid_bound_evidence(slots[i], challenge, lengths[i], buf, sizeof(buf),
					    &len) == 0);
		EXPECT(buf[0] == 0xd2 && claims_nonce(buf, len, bound));
		/* And for no other. */
		bound[NONCE_LEN - 1] ^= 1;
		EXPECT(!claims_nonce(buf, len, bound));
	}
	return true;
}

bool refuses_plain_challenges_that_vouch_for_a_key(void)
{
	static const struct devid_subject subject = {.common_name = "x"};
	uint8_t nonce[64] = BOUND_PREFIX;
	size_t len = 7;

	EXPECT(devid_id_generate(LDEVID) == 0);
	EXPECT(devid_token(nonce, 48, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(devid_evidence(nonce, 48, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(devid_bound_evidence(LDEVID, nonce, 48, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(devid_id_csr_with_evidence(LDEVID, &subject, nonce, 48, buf, sizeof(buf), &len) ==
	       -EINVAL);
	EXPECT(len == 7);
	/* Of another length or with another beginning it is a challenge as any. */
	int answered = contract_attests ? 0 : -ENOTSUP;

	EXPECT(devid_token(nonce, 32, buf, sizeof(buf), &len) == answered);
	EXPECT(devid_token(nonce, 64, buf, sizeof(buf), &len) == answered);
	nonce[BOUND_PREFIX_LEN - 1] ^= 1;
	EXPECT(devid_token(nonce, 48, buf, sizeof(buf), &len) == answered);
	return true;
}

static int read_bound_evidence(uint8_t *out, size_t size, size_t *len)
{
	return devid_bound_evidence(LDEVID, challenge, 32, out, size, len);
}

bool refuses_bad_arguments_for_bound_evidence(void)
{
	static const size_t bad[] = {0, 1, 31, 33, 47, 49, 63};
	size_t len = 7;

	EXPECT(devid_id_generate(LDEVID) == 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT(devid_bound_evidence(LDEVID, challenge, bad[i], buf, sizeof(buf), &len) ==
		       -EINVAL);
	}
	EXPECT(devid_bound_evidence(LDEVID, NULL, 32, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(devid_bound_evidence(LDEVID, buf + 7, 32, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(devid_bound_evidence(SERIAL, challenge, 32, buf, sizeof(buf), &len) == -ENOTSUP);
	EXPECT(devid_bound_evidence(UNKNOWN, challenge, 32, buf, sizeof(buf), &len) == -ENXIO);
	EXPECT(len == 7);
	return !contract_attests || bad_buffers_are_refused(read_bound_evidence);
}

/* Steps into the DER element at *at: its contents, and *at behind it. */
static bool enter(const uint8_t **at, uint8_t tag, const uint8_t **contents, size_t *len)
{
	const uint8_t *from = *at;

	EXPECT(*from++ == tag);
	*len = *from++;
	if (*len & 0x80) {
		size_t bytes = *len & 0x7f;

		EXPECT(bytes <= 2);
		for (*len = 0; bytes > 0; bytes--) {
			*len = (*len << 8) | *from++;
		}
	}
	*contents = from;
	*at = from + *len;
	return true;
}

/* Whether a PKCS#10 request is signed by that key. */
static bool request_is_signed_by(const uint8_t *request, size_t len, const uint8_t *point)
{
	const uint8_t *at = request;
	const uint8_t *end = request + len;
	const uint8_t *info;
	const uint8_t *field;
	uint8_t signature[64] = {0};
	size_t info_len;

	EXPECT(enter(&at, 0x30, &info, &len) && at == end);
	at = info;
	EXPECT(enter(&at, 0x30, &field, &len));
	info_len = (size_t)(at - info);
	EXPECT(enter(&at, 0x30, &field, &len));
	EXPECT(enter(&at, 0x03, &field, &len) && at == end && field[0] == 0);
	at = field + 1;
	EXPECT(enter(&at, 0x30, &field, &len) && at == end);
	at = field;
	for (size_t i = 0; i < 2; i++) {
		EXPECT(enter(&at, 0x02, &field, &len) && len <= 33);
		if (len == 33) {
			field++;
			len--;
		}
		memcpy(signature + 32 * (i + 1) - len, field, len);
	}
	return at == end && contract_verify(point, info, info_len, signature);
}

bool a_request_carries_evidence_for_its_own_key(void)
{
	/* id-aa-attestation and tcg-attest-cmw, with their tags. */
	static const uint8_t attribute[] = {0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7,
					    0x0d, 0x01, 0x09, 0x10, 0x02, 0x3b};
	static const uint8_t cmw[] = {0x06, 0x06, 0x67, 0x81, 0x05, 0x05, 0x04, 0x09};
	static const struct devid_subject subject = {.common_name = "device-7"};
	uint8_t spki[SPKI_LEN];
	uint8_t bound[NONCE_LEN];
	size_t len;

	EXPECT(devid_id_generate(LDEVID) == 0);
	EXPECT(devid_id_generate(PENDING) == 0);
	if (!contract_attests) {
		EXPECT(devid_id_csr_with_evidence(PENDING, &subject, challenge, 32, buf,
						  sizeof(buf), &len) == -ENOTSUP);
		return true;
	}
	EXPECT(public_key(PENDING, spki));
	EXPECT(bound_nonce(PENDING, 32, bound));
	EXPECT(devid_id_csr_with_evidence(PENDING, &subject, challenge, 32, buf, sizeof(buf),
					  &len) == 0);
	EXPECT(contains(buf, len, spki, sizeof(spki)));
	EXPECT(contains(buf, len, (const uint8_t *)"device-7", 8));
	EXPECT(contains(buf, len, attribute, sizeof(attribute)));
	EXPECT(contains(buf, len, cmw, sizeof(cmw)));
	EXPECT(claims_nonce(buf, len, bound));
	EXPECT(request_is_signed_by(buf, len, spki + SPKI_LEN - POINT_LEN));
	/* The evidence is under the signature. */
	buf[len / 2] ^= 1;
	EXPECT(!request_is_signed_by(buf, len, spki + SPKI_LEN - POINT_LEN));
	return true;
}

static int read_csr_with_evidence(uint8_t *out, size_t size, size_t *len)
{
	return devid_id_csr_with_evidence(LDEVID, NULL, challenge, 32, out, size, len);
}

bool refuses_bad_arguments_for_a_request_with_evidence(void)
{
	static const struct devid_subject bad = {.serial_number = "no_underscore"};
	size_t len = 7;

	EXPECT(read_csr_with_evidence(buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_id_generate(LDEVID) == 0);
	EXPECT(devid_id_csr_with_evidence(LDEVID, NULL, NULL, 32, buf, sizeof(buf), &len) ==
	       -EINVAL);
	EXPECT(devid_id_csr_with_evidence(LDEVID, NULL, challenge, 31, buf, sizeof(buf), &len) ==
	       -EINVAL);
	EXPECT(devid_id_csr_with_evidence(LDEVID, NULL, buf, 32, buf, sizeof(buf), &len) ==
	       -EINVAL);
	EXPECT(devid_id_csr_with_evidence(SERIAL, NULL, challenge, 32, buf, sizeof(buf), &len) ==
	       -ENOTSUP);
	EXPECT(devid_id_csr_with_evidence(UNKNOWN, NULL, challenge, 32, buf, sizeof(buf), &len) ==
	       -ENXIO);
	EXPECT(len == 7);
	if (!contract_attests) {
		return true;
	}
	EXPECT(devid_id_csr_with_evidence(LDEVID, &bad, challenge, 32, buf, sizeof(buf), &len) ==
	       -EINVAL);
	return bad_buffers_are_refused(read_csr_with_evidence);
}

/*
 * Readiness
 */

static struct devid_finding findings[DEVID_FINDINGS_MAX];
static size_t finding_count;

static bool examined(int64_t now)
{
	EXPECT(devid_status(now, findings, ARRAY_LEN(findings), &finding_count) == 0);
	EXPECT(finding_count <= ARRAY_LEN(findings));
	for (size_t i = 0; i < finding_count; i++) {
		EXPECT(findings[i].severity == (findings[i].problem < 64
							? DEVID_SEVERITY_ERROR
							: DEVID_SEVERITY_WARNING));
	}
	return true;
}

static bool found(enum devid_problem problem, uint8_t slot)
{
	for (size_t i = 0; i < finding_count; i++) {
		if (findings[i].problem == problem && findings[i].slot == slot) {
			return true;
		}
	}
	return false;
}

bool status_lists_what_is_missing(void)
{
	EXPECT(examined(DEVID_NO_TIME));
	EXPECT(found(DEVID_PROBLEM_NO_KEY, IDEVID));
	EXPECT(!found(DEVID_PROBLEM_NO_KEY, LDEVID) && !found(DEVID_PROBLEM_NO_CHAIN, LDEVID));
	EXPECT(found(DEVID_PROBLEM_NO_IAK_CHAIN, IAK));
	EXPECT(found(DEVID_PROBLEM_NO_ANCHOR, DEVID_NO_SLOT));
	EXPECT(found(DEVID_PROBLEM_UNLOCKED, DEVID_NO_SLOT));
	EXPECT(found(DEVID_PROBLEM_NO_ATTESTATION, DEVID_NO_SLOT) == !contract_attests);
	/* TF-M's dummy key and the simulator's alike. */
	EXPECT(found(DEVID_PROBLEM_DEVELOPMENT_IAK, DEVID_NO_SLOT) == contract_attests);
	EXPECT(!found(DEVID_PROBLEM_VALIDITY_NOT_CHECKED, DEVID_NO_SLOT));
	EXPECT(!found(DEVID_PROBLEM_STORAGE_HEADROOM, DEVID_NO_SLOT));

	EXPECT(devid_id_generate(IDEVID) == 0);
	EXPECT(devid_id_generate(LDEVID) == 0);
	EXPECT(examined(DEVID_NO_TIME));
	EXPECT(!found(DEVID_PROBLEM_NO_KEY, IDEVID));
	EXPECT(found(DEVID_PROBLEM_NO_CHAIN, IDEVID) && found(DEVID_PROBLEM_NO_CHAIN, LDEVID));
	return true;
}

bool status_lists_what_is_wrong_with_certificates(void)
{
	struct chain chain;
	uint8_t point[POINT_LEN];

	EXPECT(generated(LDEVID, point));
	EXPECT(prepare(&chain, point));
	chain.leaf.not_before = "210101000000Z";
	chain.leaf.not_after = "211231235959Z";
	EXPECT(devid_id_install(LDEVID, value, issue_chain(&chain), DEVID_NO_TIME, NULL) == 0);

	EXPECT(examined(DEVID_NO_TIME));
	EXPECT(found(DEVID_PROBLEM_VALIDITY_NOT_CHECKED, DEVID_NO_SLOT));
	EXPECT(!found(DEVID_PROBLEM_EXPIRED, LDEVID));
	EXPECT(examined(IN_2021 - 1));
	EXPECT(found(DEVID_PROBLEM_NOT_YET_VALID, LDEVID));
	EXPECT(!found(DEVID_PROBLEM_VALIDITY_NOT_CHECKED, DEVID_NO_SLOT));
	EXPECT(examined(IN_2021));
	EXPECT(!found(DEVID_PROBLEM_NOT_YET_VALID, LDEVID));
	EXPECT(!found(DEVID_PROBLEM_EXPIRES_SOON, LDEVID));
	EXPECT(examined(IN_2021 + 350 * 86400));
	EXPECT(found(DEVID_PROBLEM_EXPIRES_SOON, LDEVID));
	EXPECT(examined(IN_2021 + 366 * 86400));
	EXPECT(found(DEVID_PROBLEM_EXPIRED, LDEVID));

	EXPECT(provisioned(PENDING, "second"));
	EXPECT(devid_id_activate(LDEVID) == 0);
	EXPECT(examined(IN_2021));
	EXPECT(found(DEVID_PROBLEM_NOT_CONFIRMED, LDEVID));
	EXPECT(devid_id_confirm(LDEVID) == 0);
	EXPECT(examined(IN_2021));
	EXPECT(!found(DEVID_PROBLEM_NOT_CONFIRMED, LDEVID));
	EXPECT(!found(DEVID_PROBLEM_EXPIRED, LDEVID));
	return true;
}

bool refuses_a_list_too_short_for_the_findings(void)
{
	size_t count = 0;
	size_t again = 0;

	EXPECT(devid_status(DEVID_NO_TIME, NULL, 0, &count) == -ENOBUFS);
	EXPECT(count > 1 && count <= DEVID_FINDINGS_MAX);
	memset(findings, 0xa5, sizeof(findings));
	EXPECT(devid_status(DEVID_NO_TIME, findings, count - 1, &again) == -ENOBUFS);
	EXPECT(again == count);
	EXPECT(all((const uint8_t *)findings, sizeof(findings), 0xa5));
	EXPECT(devid_status(DEVID_NO_TIME, findings, count, &again) == 0 && again == count);
	EXPECT(all((const uint8_t *)(findings + count),
		   (ARRAY_LEN(findings) - count) * sizeof(findings[0]), 0xa5));

	EXPECT(devid_status(DEVID_NO_TIME, NULL, 1, &count) == -EINVAL);
	EXPECT(devid_status(DEVID_NO_TIME, findings, ARRAY_LEN(findings), NULL) == -EINVAL);
	EXPECT(devid_status(DEVID_NO_TIME, findings, SIZE_MAX, &count) == -EINVAL);
	return true;
}

/*
 * Updates
 */

static uint8_t wire[1600];

/* Writes the certificate of a test key to an anchor's slot. */
static bool anchored(uint8_t slot, unsigned int key)
{
	uint8_t point[POINT_LEN];
	struct certificate anchor = {.subject = "anchor",
				     .issuer = "anchor",
				     .point = point,
				     .signer = key,
				     .ca = true};
	size_t len;

	EXPECT(contract_key_point(key, point));
	len = issue(&anchor, value, sizeof(value));
	EXPECT(devid_slot_write(slot, value, len) == 0);
	return true;
}

/* A device that takes updates: an instance id, and test key 0 for its anchor. */
static bool ready_for_updates(void)
{
	return devid_id_generate(IDEVID) == 0 && anchored(ANCHOR, 0);
}

/* The command for this device that comes next, signed by test key 0. */
static bool next(struct command *command, enum operation operation, int slot)
{
	size_t len;

	memset(command, 0, sizeof(*command));
	command->operation = operation;
	command->slot = slot;
	EXPECT(devid_instance_id(command->instance_id, INSTANCE_ID_LEN, &len) == 0);
	EXPECT(devid_update_sequence(&command->sequence) == 0);
	command->sequence++;
	return true;
}

static int apply(const struct command *command)
{
	/* 0 bytes are refused as such where signing failed. */
	return devid_update(wire, sign_command(command, wire, sizeof(wire)), NULL);
}

/* Applies a command that must go through and be counted. */
static bool applied(const struct command *command)
{
	uint64_t sequence;

	EXPECT(apply(command) == 0);
	EXPECT(devid_update_sequence(&sequence) == 0 && sequence == command->sequence);
	return true;
}

bool an_update_does_what_it_says(void)
{
	struct devid_applied done = {0};
	struct devid_slot_info info;
	struct command command;
	uint8_t spki[SPKI_LEN];
	uint8_t point[POINT_LEN];
	size_t len;

	EXPECT(ready_for_updates());

	EXPECT(next(&command, OPERATION_WRITE, SERIAL));
	command.value = (const uint8_t *)"SN-0002";
	command.value_len = 7;
	len = sign_command(&command, wire, sizeof(wire));
	EXPECT(devid_update(wire, len, &done) == 0);
	EXPECT(done.sequence == command.sequence && !done.already);
	EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == 0);
	EXPECT(len == 7 && memcmp(buf, "SN-0002", 7) == 0);

	/* A chain over the active key, then over the pending one. */
	EXPECT(generated(LDEVID, point));
	EXPECT(next(&command, OPERATION_INSTALL, LDEVID));
	command.value = value;
	command.value_len = chain_over(point, "first");
	EXPECT(applied(&command));
	EXPECT(leaf_is_named(LDEVID, "first"));
	EXPECT(generated(PENDING, point));
	EXPECT(next(&command, OPERATION_INSTALL, LDEVID));
	command.value = value;
	command.value_len = chain_over(point, "second");
	EXPECT(applied(&command));
	EXPECT(leaf_is_named(LDEVID, "first") && leaf_is_named(PENDING, "second"));
	EXPECT(public_key(PENDING, spki));
	EXPECT(next(&command, OPERATION_ACTIVATE, LDEVID));
	EXPECT(applied(&command));
	EXPECT(phase_is(LDEVID, DEVID_PHASE_ACTIVATED) && has_key(LDEVID, spki));

	EXPECT(next(&command, OPERATION_RESET, -1));
	EXPECT(applied(&command));
	EXPECT(devid_id_public_key(LDEVID, buf, sizeof(buf), &len) == -ENOENT);

	/* The second anchor's own certificate, read from the first's slot. */
	EXPECT(anchored(ANCHOR, 1));
	EXPECT(devid_slot_read(ANCHOR, buf, sizeof(buf), &len) == 0);
	EXPECT(anchored(ANCHOR, 0));
	EXPECT(next(&command, OPERATION_ADD_ANCHOR, ANCHOR_1));
	command.value = buf;
	command.value_len = len;
	EXPECT(applied(&command));
	EXPECT(next(&command, OPERATION_REVOKE_ANCHOR, ANCHOR));
	command.signer = 1;
	EXPECT(applied(&command));
	EXPECT(devid_slot_info(ANCHOR, &info) == 0 && info.state == DEVID_SLOT_EMPTY);
	return true;
}

bool refuses_an_update_used_before(void)
{
	struct devid_applied done = {0};
	struct command command;
	uint64_t sequence;
	size_t len;

	EXPECT(ready_for_updates());
	EXPECT(next(&command, OPERATION_WRITE, ENDPOINT));
	command.sequence += 5;
	command.value = (const uint8_t *)"new";
	command.value_len = 3;
	/* Another signature makes it another command: the same bytes are sent again. */
	len = sign_command(&command, wire, sizeof(wire));
	EXPECT(devid_update(wire, len, &done) == 0);
	EXPECT(!done.already && done.sequence == command.sequence);
	EXPECT(devid_update(wire, len, &done) == 0);
	EXPECT(done.already && done.sequence == command.sequence);

	command.value = (const uint8_t *)"old";
	EXPECT(apply(&command) == -EPERM);
	EXPECT(refused_for(REFUSAL_SEQUENCE));
	command.sequence -= 1;
	EXPECT(apply(&command) == -EPERM);
	EXPECT(refused_for(REFUSAL_SEQUENCE));
	EXPECT(devid_slot_read(ENDPOINT, buf, sizeof(buf), &len) == 0);
	EXPECT(len == 3 && memcmp(buf, "new", 3) == 0);
	EXPECT(devid_update_sequence(&sequence) == 0 && sequence == command.sequence + 1);
	return true;
}

bool refuses_an_update_for_others(void)
{
	struct command command;
	size_t len;

	EXPECT(ready_for_updates());
	EXPECT(next(&command, OPERATION_WRITE, ENDPOINT));
	command.value = (const uint8_t *)"value";
	command.value_len = 5;
	command.instance_id[INSTANCE_ID_LEN - 1] ^= 1;
	EXPECT(apply(&command) == -EPERM);
	EXPECT(refused_for(REFUSAL_TARGET));
	command.group = "another";
	EXPECT(apply(&command) == -EPERM);
	EXPECT(refused_for(REFUSAL_TARGET));
	command.group = "";
	EXPECT(apply(&command) == -EBADMSG);
	EXPECT(devid_slot_read(ENDPOINT, buf, sizeof(buf), &len) == -ENOENT);
	if (contract_group[0] != '\0') {
		command.group = contract_group;
		EXPECT(applied(&command));
		EXPECT(devid_slot_read(ENDPOINT, buf, sizeof(buf), &len) == 0);
	}
	return true;
}

bool refuses_an_update_that_no_anchor_signed(void)
{
	uint8_t point[POINT_LEN];
	struct certificate certifier = {.subject = "anchor",
					.issuer = "anchor",
					.point = point,
					.signer = 2,
					.ca = true,
					.certifies_alone = true};
	struct command command;
	size_t len;

	EXPECT(ready_for_updates());
	EXPECT(next(&command, OPERATION_WRITE, ENDPOINT));
	command.value = (const uint8_t *)"value";
	command.value_len = 5;
	command.signer = 1;
	EXPECT(apply(&command) == -EPERM);
	EXPECT(refused_for(REFUSAL_UNKNOWN_SIGNER));

	/* An anchor is alive from its first moment, and dead from its last. */
	EXPECT(anchored(ANCHOR_1, 1));
	EXPECT(applied(&command));
	EXPECT(next(&command, OPERATION_REVOKE_ANCHOR, ANCHOR_1));
	EXPECT(applied(&command));
	EXPECT(next(&command, OPERATION_RESET, -1));
	command.signer = 1;
	EXPECT(apply(&command) == -EPERM);
	EXPECT(refused_for(REFUSAL_UNKNOWN_SIGNER));
	EXPECT(anchored(ANCHOR, 1));
	command.signer = 0;
	EXPECT(apply(&command) == -EPERM);
	EXPECT(refused_for(REFUSAL_UNKNOWN_SIGNER));

	/* One that may sign certificates alone signs no updates. */
	EXPECT(contract_key_point(2, point));
	len = issue(&certifier, value, sizeof(value));
	EXPECT(devid_slot_write(ANCHOR_1, value, len) == 0);
	command.signer = 2;
	EXPECT(apply(&command) == -EPERM);
	EXPECT(refused_for(REFUSAL_KEY_USAGE));
	command.signer = 1;
	EXPECT(applied(&command));
	return true;
}

bool refuses_an_update_with_a_flipped_bit_or_cut_short(void)
{
	struct command command;
	uint64_t sequence;
	size_t len;

	EXPECT(ready_for_updates());
	EXPECT(next(&command, OPERATION_WRITE, ENDPOINT));
	command.value = (const uint8_t *)"value";
	command.value_len = 5;
	command.expiry = AFTER_2050;
	EXPECT(devid_time_set(IN_2021) == 0);
	len = sign_command(&command, wire, sizeof(wire));
	EXPECT(len > 64);
	for (size_t i = 0; i < len; i++) {
		int result;

		EXPECT(devid_update(wire, i, NULL) ==
		       (i == 0 ? -EINVAL : -EBADMSG));
		wire[i] ^= (uint8_t)(1 << (i % 8));
		result = devid_update(wire, len, NULL);
		EXPECT(result == -EBADMSG ||
		       (result == -EPERM && refused_for(REFUSAL_UNKNOWN_SIGNER)));
		wire[i] ^= (uint8_t)(1 << (i % 8));
	}
	wire[len] = 0;
	EXPECT(devid_update(wire, len + 1, NULL) == -EBADMSG);
	EXPECT(devid_update_sequence(&sequence) == 0 && sequence == command.sequence - 1);
	EXPECT(devid_update(wire, len, NULL) == 0);
	return true;
}

bool an_update_expires_by_the_applications_time(void)
{
	struct command command;

	EXPECT(ready_for_updates());
	EXPECT(next(&command, OPERATION_RESET, -1));
	/* Seconds may pass before it is applied. */
	command.expiry = IN_2021 + 600;
	EXPECT(devid_time_set(IN_2021) == 0);
	EXPECT(apply(&command) == 0);
	command.sequence++;
	EXPECT(devid_time_set(IN_2021 + 601) == 0);
	EXPECT(apply(&command) == -EPERM);
	EXPECT(refused_for(REFUSAL_EXPIRED));

	/* The anchor's own validity counts as well. */
	command.expiry = 0;
	EXPECT(devid_time_set(AFTER_2050) == 0);
	EXPECT(apply(&command) == -EPERM);
	EXPECT(refused_for(REFUSAL_EXPIRED));
	EXPECT(devid_time_set(IN_2049) == 0);
	EXPECT(apply(&command) == 0);

	/* Of these times the device remembers one at most, and none before it. */
	EXPECT(devid_time_set(IN_2021) == 0);
	EXPECT(devid_time_set(1) == -EPERM);
	EXPECT(refused_for(REFUSAL_TIME_FLOOR));
	return true;
}

bool refuses_an_update_that_asks_for_the_impossible(void)
{
	/* What is refused by a reason of its own, and what by an errno alone. */
	const struct {
		enum operation operation;
		int slot;
		size_t value_len;
		int result;
		int32_t reason;
	} bad[] = {
		{OPERATION_UNKNOWN, -1, 0, -EPERM, REFUSAL_OPERATION},
		{OPERATION_REVOKE_ANCHOR, ANCHOR, 0, -EPERM, REFUSAL_LAST_ANCHOR},
		{OPERATION_WRITE, SERIAL, SERIAL_MAX + 1, -EFBIG, 0},
		{OPERATION_WRITE, IDEVID, 1, -ENOTSUP, 0},
		{OPERATION_WRITE, ANCHOR, 1, -ENOTSUP, 0},
		{OPERATION_WRITE, 0x7e, 1, -ENXIO, 0},
		{OPERATION_WRITE, PENDING, 1, -EBADMSG, 0},
		{OPERATION_WRITE, SERIAL, 0, -EBADMSG, 0},
		{OPERATION_WRITE, -1, 1, -EBADMSG, 0},
		{OPERATION_INSTALL, SERIAL, 1, -ENOTSUP, 0},
		{OPERATION_INSTALL, LDEVID, 1, -ENOENT, 0},
		{OPERATION_INSTALL, IDEVID, 1, -EBADMSG, 0},
		{OPERATION_ADD_ANCHOR, SERIAL, 1, -ENOTSUP, 0},
		{OPERATION_ADD_ANCHOR, ANCHOR, 1, -EBADMSG, 0},
		{OPERATION_REVOKE_ANCHOR, ANCHOR_1, 0, -ENOENT, 0},
		{OPERATION_REVOKE_ANCHOR, SERIAL, 0, -ENOTSUP, 0},
		{OPERATION_RESET, IDEVID, 0, -EBADMSG, 0},
		{OPERATION_ACTIVATE, IDEVID, 0, -ENOENT, 0},
		{OPERATION_ACTIVATE, SERIAL, 0, -ENOTSUP, 0},
	};
	struct command command;
	uint64_t sequence;
	size_t len;

	EXPECT(ready_for_updates());
	fill(value, sizeof(value), 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT(next(&command, bad[i].operation, bad[i].slot));
		command.value = bad[i].value_len > 0 ? value : NULL;
		command.value_len = bad[i].value_len;
		EXPECT(apply(&command) == bad[i].result);
		EXPECT(bad[i].reason == 0 || refused_for(bad[i].reason));
		EXPECT(devid_update_sequence(&sequence) == 0);
		EXPECT(sequence == command.sequence - 1);
	}
	EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == -ENOENT);

	/* None of them used up its number. */
	EXPECT(next(&command, OPERATION_RESET, -1));
	EXPECT(applied(&command));
	return true;
}

bool refuses_bad_arguments_to_update(void)
{
	static union {
		struct devid_applied applied[2];
		uint64_t sequences[2];
		uint8_t bytes[2 * sizeof(struct devid_applied)];
	} place;
	struct command command;
	size_t len;

	EXPECT(ready_for_updates());
	EXPECT(next(&command, OPERATION_RESET, -1));
	len = sign_command(&command, wire, sizeof(wire));
	EXPECT(len > 0);
	EXPECT(devid_update(NULL, len, NULL) == -EINVAL);
	EXPECT(devid_update(wire, 0, NULL) == -EINVAL);
	EXPECT(devid_update(wire, SIZE_MAX, NULL) == -EINVAL);
	EXPECT(devid_update(wire, len,
			    (struct devid_applied *)(place.bytes + 1)) == -EINVAL);
	EXPECT(devid_update_sequence(NULL) == -EINVAL);
	EXPECT(devid_update_sequence((uint64_t *)(place.bytes + 1)) == -EINVAL);
	EXPECT(devid_update_sequence(&place.sequences[0]) == 0);
	EXPECT(place.sequences[0] == command.sequence - 1);

	/* At an odd address all the same. */
	memmove(wire + 1, wire, len);
	EXPECT(devid_update(wire + 1, len, &place.applied[0]) == 0);
	return true;
}

/*
 * Lock: what follows finds the device locked.
 */

static bool is_locked(void)
{
	bool locked = false;

	return devid_is_locked(&locked) == 0 && locked;
}

bool lock_wants_a_whole_factory_identity(void)
{
	EXPECT(devid_is_locked(NULL) == -EINVAL);
	EXPECT(devid_lock() == -ENOENT);
	EXPECT(devid_id_generate(IDEVID) == 0);
	EXPECT(devid_lock() == -ENOENT);
	EXPECT(devid_slot_erase(IDEVID) == 0);
	EXPECT(provisioned(IDEVID, "factory"));
	EXPECT(devid_id_generate(IDEVID | DEVID_PENDING) == 0);
	EXPECT(devid_lock() == -EBUSY);
	EXPECT(!is_locked());

	/* Until then the factory's identity rotates like any other. */
	EXPECT(devid_id_rollback(IDEVID) == 0);
	EXPECT(provisioned(IDEVID | DEVID_PENDING, "again"));
	EXPECT(devid_id_activate(IDEVID) == 0);
	EXPECT(devid_lock() == -EBUSY);
	EXPECT(devid_id_confirm(IDEVID) == 0);
	EXPECT(leaf_is_named(IDEVID, "again"));
	return true;
}

bool a_lock_makes_the_factorys_slots_final(void)
{
	uint8_t spki[SPKI_LEN];
	size_t len;

	EXPECT(provisioned(IDEVID, "factory"));
	EXPECT(public_key(IDEVID, spki));
	EXPECT(anchored(ANCHOR, 0));
	EXPECT(devid_slot_write(SERIAL, (const uint8_t *)"SN-0001", 7) == 0);
	EXPECT(devid_lock() == 0);
	EXPECT(is_locked());
	EXPECT(devid_lock() == 0);
	EXPECT(examined(DEVID_NO_TIME) && !found(DEVID_PROBLEM_UNLOCKED, DEVID_NO_SLOT));

	EXPECT(devid_slot_write(SERIAL, (const uint8_t *)"SN-0002", 7) == -EACCES);
	EXPECT(devid_slot_erase(SERIAL) == -EACCES);
	EXPECT(devid_slot_erase(ANCHOR) == -EACCES);
	EXPECT(devid_slot_erase(ANCHOR_1) == -EACCES);
	len = chain_over(spki + SPKI_LEN - POINT_LEN, "renewed");
	EXPECT(devid_slot_write(ANCHOR_1, value, len) == -EACCES);
	EXPECT(devid_slot_write(IAK, value, len) == -EACCES);
	EXPECT(devid_id_install(IDEVID, value, len, DEVID_NO_TIME, NULL) == -EACCES);
	EXPECT(devid_id_install(IDEVID | DEVID_PENDING, value, len, DEVID_NO_TIME, NULL) ==
	       -EACCES);
	EXPECT(devid_id_generate(IDEVID) == -EACCES);
	EXPECT(devid_id_generate(IDEVID | DEVID_PENDING) == -EACCES);
	EXPECT(devid_id_activate(IDEVID) == -EACCES);
	EXPECT(devid_slot_erase(IDEVID) == -EACCES);
	EXPECT(devid_slot_erase(IDEVID | DEVID_PENDING) == -EACCES);
	EXPECT(has_key(IDEVID, spki) && leaf_is_named(IDEVID, "factory"));
	EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == 0);
	EXPECT(len == 7 && memcmp(buf, "SN-0001", 7) == 0);

	/* What is the device's own goes on. */
	EXPECT(devid_slot_write(ENDPOINT, (const uint8_t *)"free", 4) == 0);
	EXPECT(provisioned(LDEVID, "first"));
	EXPECT(provisioned(PENDING, "second"));
	EXPECT(devid_id_activate(LDEVID) == 0);
	EXPECT(devid_id_confirm(LDEVID) == 0);
	EXPECT(leaf_is_named(LDEVID, "second"));
	return true;
}

bool an_update_reaches_what_the_lock_made_final(void)
{
	struct command command;
	uint8_t spki[SPKI_LEN];
	size_t len;

	EXPECT(is_locked());
	EXPECT(public_key(IDEVID, spki));
	EXPECT(next(&command, OPERATION_WRITE, SERIAL));
	command.value = (const uint8_t *)"SN-0003";
	command.value_len = 7;
	EXPECT(applied(&command));
	EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == 0);
	EXPECT(len == 7 && memcmp(buf, "SN-0003", 7) == 0);

	EXPECT(next(&command, OPERATION_INSTALL, IDEVID));
	command.value = value;
	command.value_len = chain_over(spki + SPKI_LEN - POINT_LEN, "renewed");
	EXPECT(applied(&command));
	EXPECT(leaf_is_named(IDEVID, "renewed") && has_key(IDEVID, spki));

	/* The root of that chain, key 1's, stands for the next anchor. */
	EXPECT(devid_id_certificate(IDEVID, 2, buf, sizeof(buf), &len) == 0);
	EXPECT(next(&command, OPERATION_ADD_ANCHOR, ANCHOR_1));
	command.value = buf;
	command.value_len = len;
	EXPECT(applied(&command));
	EXPECT(next(&command, OPERATION_REVOKE_ANCHOR, ANCHOR_1));
	command.signer = 1;
	EXPECT(applied(&command));
	EXPECT(devid_slot_write(SERIAL, (const uint8_t *)"SN-0004", 7) == -EACCES);
	return true;
}

bool a_reset_keeps_the_lock_and_the_factory_identity(void)
{
	uint8_t spki[SPKI_LEN];
	size_t len;

	EXPECT(is_locked());
	EXPECT(public_key(IDEVID, spki));
	EXPECT(provisioned(LDEVID, "first"));
	EXPECT(devid_reset() == 0);
	EXPECT(is_locked());
	EXPECT(has_key(IDEVID, spki) && leaf_is_named(IDEVID, "renewed"));
	EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == 0);
	EXPECT(devid_id_public_key(LDEVID, buf, sizeof(buf), &len) == -ENOENT);
	return true;
}
