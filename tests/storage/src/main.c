/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cmake/storage.cmake computes, on the storage itself: all that the layout
 * allows finds room, written in any order; and where others took that room,
 * calls say so and lose nothing.
 */
#include <errno.h>
#include <string.h>

#include <psa/internal_trusted_storage.h>
#include <psa/protected_storage.h>
#include <zephyr/sys/printk.h>
#include <zephyr/ztest.h>

#include <devid/devid.h>

#include "contract.h"
#include "issuer.h"

#define ROUNDS     60
#define VALUES_MAX 24
#define VALUE_MAX  MAX(CONFIG_DEVID_CHAIN_MAX_LEN, CONFIG_DEVID_ANCHOR_MAX_LEN)
#define ANCHOR_MIN 400
#define CHAIN_MIN  640
#define OTHER_UID  0x5000
#define SPKI_LEN   91

/* What a slot, or an identity's pending bank, was last given. */
struct value {
	uint8_t slot;
	enum devid_kind kind;
	size_t limit;
	size_t len;
	uint8_t bytes[VALUE_MAX];
	uint8_t spki[SPKI_LEN]; /* of an identity */
};

static struct value values[VALUES_MAX];
static size_t count;
static uint8_t buf[VALUE_MAX + 1];

/* The same numbers in each run. */
static uint32_t random_below(uint32_t limit)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return (state >> 8) % limit;
}

/*
 * Values of any length.
 */

/* Signatures differ in length, so it takes a few to come to the right one. */
static void issue_of_len(struct certificate *certificate, uint8_t *out, size_t len)
{
	size_t issued = 0;

	certificate->padding = 1;
	for (int i = 0; i < 100 && issued != len; i++) {
		issued = issue(certificate, out, VALUE_MAX);
		zassert_not_equal(issued, 0);
		certificate->padding += len - issued;
	}
	zassert_equal(issued, len);
}

/* An anchor's key is in one slot alone, so each slot has its own. */
static void make_anchor(uint8_t slot, uint8_t *out, size_t len)
{
	const unsigned int key = slot % CONTRACT_KEYS;
	uint8_t point[65];
	struct certificate root = {
		.subject = "root", .issuer = "root", .point = point, .signer = key, .ca = true};

	zassert_true(contract_key_point(key, point));
	issue_of_len(&root, out, len);
}

/* A chain of two over the key of that SubjectPublicKeyInfo. */
static void make_chain(const uint8_t *spki, uint8_t *out, size_t len)
{
	uint8_t ca_point[65];
	struct certificate leaf = {.subject = "leaf",
				   .issuer = "ca",
				   .point = spki + SPKI_LEN - 65,
				   .signer = 0};
	struct certificate ca = {
		.subject = "ca", .issuer = "root", .point = ca_point, .signer = 1, .ca = true};
	uint8_t second[512];
	size_t second_len;

	zassert_true(contract_key_point(0, ca_point));
	second_len = issue(&ca, second, sizeof(second));
	zassert_true(second_len > 0 && second_len < len);
	issue_of_len(&leaf, out, len - second_len);
	memcpy(out + len - second_len, second, second_len);
}

/* Makes another value of that length, and writes it. */
static int write(struct value *value, size_t len)
{
	size_t ignored;
	int ret;

	switch (value->kind) {
	case DEVID_KIND_IDENTITY:
		make_chain(value->spki, buf, len);
		ret = devid_id_install(value->slot, buf, len, DEVID_NO_TIME, NULL);
		break;
	case DEVID_KIND_CHAIN:
		zassert_ok(devid_iak_public_key(value->spki, SPKI_LEN, &ignored));
		make_chain(value->spki, buf, len);
		ret = devid_slot_write(value->slot, buf, len);
		break;
	case DEVID_KIND_ANCHOR:
		make_anchor(value->slot, buf, len);
		ret = devid_slot_write(value->slot, buf, len);
		break;
	default:
		for (size_t i = 0; i < len; i++) {
			buf[i] = (uint8_t)random_below(256);
		}
		ret = devid_slot_write(value->slot, buf, len);
		break;
	}
	if (ret == 0) {
		memcpy(value->bytes, buf, len);
		value->len = len;
	}
	return ret;
}

/* Any length, more often than not the limit. */
static size_t some_len(const struct value *value)
{
	const size_t least = value->kind == DEVID_KIND_DATA     ? 1
			     : value->kind == DEVID_KIND_ANCHOR ? ANCHOR_MIN
								: CHAIN_MIN;

	return random_below(2) ? value->limit
			       : least + random_below(value->limit - least + 1);
}

static int generate(struct value *value)
{
	size_t len;
	int ret = devid_id_generate(value->slot);

	if (ret == 0) {
		zassert_ok(devid_id_public_key(value->slot, value->spki, SPKI_LEN, &len));
	}
	return ret;
}

static bool is_pending(const struct value *value)
{
	return value->kind == DEVID_KIND_IDENTITY && (value->slot & DEVID_PENDING);
}

/*
 * The state in which each test begins.
 */

/* Writes all that the layout allows, each value as long as it may be. */
static void fill(void)
{
	struct devid_slot_info info;

	count = 0;
	for (size_t i = 0; devid_slot_at(i, &info) == 0; i++) {
		if (info.kind == DEVID_KIND_CHAIN && !IS_ENABLED(CONFIG_DEVID_ATTESTATION)) {
			continue;
		}
		for (int pending = 0; pending <= (info.kind == DEVID_KIND_IDENTITY); pending++) {
			struct value *value = &values[count++];

			zassert_true(count <= VALUES_MAX);
			value->slot = info.id | (pending ? DEVID_PENDING : 0);
			value->kind = info.kind;
			value->limit = info.max_len;
			if (value->kind == DEVID_KIND_IDENTITY) {
				zassert_ok(generate(value));
			}
			zassert_ok(write(value, value->limit), "slot 0x%02x", value->slot);
		}
	}
}

static void everything_is_there(void)
{
	uint8_t spki[SPKI_LEN];
	size_t len;

	for (size_t i = 0; i < count; i++) {
		const struct value *value = &values[i];

		zassert_ok(devid_slot_read(value->slot, buf, sizeof(buf), &len), "slot 0x%02x",
			   value->slot);
		zassert_equal(len, value->len);
		zassert_mem_equal(buf, value->bytes, len);
		if (value->kind == DEVID_KIND_IDENTITY) {
			zassert_ok(devid_id_public_key(value->slot, spki, sizeof(spki), &len));
			zassert_mem_equal(spki, value->spki, SPKI_LEN);
		}
	}
}

/* Assets of others: TF-M keeps those of PS and of ITS apart. */
static psa_status_t other_set(bool ps, size_t n, size_t len)
{
	static const uint8_t bytes[1024];

	return ps ? psa_ps_set(OTHER_UID + n, len, bytes, PSA_STORAGE_FLAG_NONE)
		  : psa_its_set(OTHER_UID + n, len, bytes, PSA_STORAGE_FLAG_NONE);
}

static void remove_others(void)
{
	for (size_t n = 0; psa_ps_remove(OTHER_UID + n) == PSA_SUCCESS; n++) {
	}
	for (size_t n = 0; psa_its_remove(OTHER_UID + n) == PSA_SUCCESS; n++) {
	}
}

static void add_others(void)
{
	for (size_t n = 0; n < CONFIG_DEVID_OTHER_ASSETS; n++) {
		zassert_equal(other_set(true, n, CONFIG_DEVID_OTHER_ASSET_MAX_LEN), PSA_SUCCESS);
		if (IS_ENABLED(CONFIG_BUILD_WITH_TFM)) {
			zassert_equal(other_set(false, n, CONFIG_DEVID_OTHER_ASSET_MAX_LEN),
				      PSA_SUCCESS);
		}
	}
}

/* Each test finds this and leaves it, whatever the order: it takes a minute. */
static void *setup(void)
{
	struct devid_slot_info info;

	/* On native_sim, what an earlier run left. */
	remove_others();
	for (size_t i = 0; devid_slot_at(i, &info) == 0; i++) {
		(void)devid_slot_erase(info.id | DEVID_PENDING);
		(void)devid_slot_erase(info.id);
	}
	add_others();
	fill();
	return NULL;
}

/*
 * The tests.
 */

ZTEST(storage, test_every_slot_key_and_pending_bank_finds_room_at_its_limit)
{
	everything_is_there();
	printk("storage: %zu values at their limits\n", count);
}

ZTEST(storage, test_writes_of_any_length_in_any_order_find_room)
{
	size_t written = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct value *value = &values[random_below(count)];

		if (value->kind != DEVID_KIND_IDENTITY || is_pending(value)) {
			zassert_ok(write(value, some_len(value)), "slot 0x%02x, write %zu",
				   value->slot, written);
		} else {
			/* A rotation, and the next one prepared. The pending bank comes next. */
			struct value *pending = value + 1;

			zassert_ok(devid_id_activate(value->slot));
			zassert_ok(devid_id_confirm(value->slot));
			memcpy(value->bytes, pending->bytes, pending->len);
			memcpy(value->spki, pending->spki, SPKI_LEN);
			value->len = pending->len;
			zassert_ok(generate(pending));
			zassert_ok(write(pending, some_len(pending)));
		}
		written++;
	}
	everything_is_there();
	printk("storage: %zu writes in any order\n", written);
}

/* Takes what room there is; returns how many assets it took. */
static size_t take_all_room(bool ps, size_t first)
{
	size_t n = first;

	for (size_t len = 1024; len > 0; len /= 2) {
		while (other_set(ps, n, len) == PSA_SUCCESS) {
			n++;
		}
	}
	zassert_equal(other_set(ps, n, 1), PSA_ERROR_INSUFFICIENT_STORAGE);
	return n - first;
}

ZTEST(storage, test_a_full_storage_refuses_and_loses_nothing)
{
	const bool ps = IS_ENABLED(CONFIG_DEVID_STORAGE_PS);
	/* TF-M keeps keys elsewhere than what is in PS. */
	const bool keys_in_ps = ps && !IS_ENABLED(CONFIG_BUILD_WITH_TFM);
	struct value *pending = &values[1];
	struct value dropped;
	size_t taken = take_all_room(ps, CONFIG_DEVID_OTHER_ASSETS);

	/* There was what a write at the worst time takes. */
	printk("storage: room was left for %zu more assets\n", taken);
	zassert_true(taken >= 1);
	for (size_t i = 0; i < count; i++) {
		/* A pending chain makes room for the one that replaces it. */
		if (values[i].kind != DEVID_KIND_IDENTITY) {
			zassert_equal(write(&values[i], values[i].limit), -ENOSPC, "slot 0x%02x",
				      values[i].slot);
		}
	}
	if (ps) {
		/* ITS writes the state over itself, and needs no room for that. */
		zassert_equal(devid_id_activate(values[0].slot), -ENOSPC);
	}
	everything_is_there();

	/* Keys have no more room than slots. */
	zassert_true(is_pending(pending));
	zassert_ok(devid_slot_erase(pending->slot));
	(void)take_all_room(keys_in_ps, CONFIG_DEVID_OTHER_ASSETS + (ps == keys_in_ps ? taken : 0));
	zassert_equal(devid_id_generate(pending->slot), -ENOSPC);
	dropped = *pending;
	*pending = values[0];
	everything_is_there();

	/* What others give back can be used at once. */
	remove_others();
	*pending = dropped;
	zassert_ok(generate(pending));
	zassert_ok(write(pending, pending->limit));
	add_others();
	everything_is_there();
}

ZTEST_SUITE(storage, NULL, setup, NULL, NULL, NULL);
