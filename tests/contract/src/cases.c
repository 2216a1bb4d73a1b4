/* SPDX-License-Identifier: Apache-2.0 */
#include "cases.h"

#include <errno.h>
#include <string.h>

#include <devid/devid.h>

#include "issuer.h"

uint8_t buf[BUF_SIZE];
uint8_t value[CHAIN_MAX + 1];

void fill(uint8_t *bytes, size_t len, uint8_t seed)
{
	for (size_t i = 0; i < len; i++) {
		bytes[i] = (uint8_t)(seed + i * 7);
	}
}

bool all(const uint8_t *bytes, size_t len, uint8_t expected)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != expected) {
			return false;
		}
	}
	return true;
}

bool contains(const uint8_t *bytes, size_t len, const uint8_t *part, size_t part_len)
{
	for (size_t i = 0; i + part_len <= len; i++) {
		if (memcmp(bytes + i, part, part_len) == 0) {
			return true;
		}
	}
	return false;
}

bool bad_buffers_are_refused(reader read)
{
	/* Room for a size_t in the buffer, at any alignment. */
	static union {
		uint8_t bytes[BUF_SIZE];
		size_t lengths[BUF_SIZE / sizeof(size_t)];
	} shared;
	size_t len = 0;
	size_t first = 0;

	EXPECT(read(NULL, 0, &first) == -ENOBUFS);
	EXPECT(first > 1 && first < sizeof(buf));
	EXPECT(read(NULL, first, &len) == -EINVAL);
	EXPECT(read(buf, sizeof(buf), NULL) == -EINVAL);
	EXPECT(read(buf, sizeof(buf), (size_t *)((uint8_t *)shared.lengths + 1)) == -EINVAL);
	EXPECT(read(shared.bytes, sizeof(shared.bytes), &shared.lengths[1]) == -EINVAL);
	EXPECT(read(buf, SIZE_MAX, &len) == -EINVAL);

	/* One byte too few, by enough for signatures of other lengths. */
	memset(buf, 0xa5, sizeof(buf));
	EXPECT(read(buf, 1, &len) == -ENOBUFS);
	EXPECT(len > 1);
	EXPECT(all(buf, sizeof(buf), 0xa5));

	/* Nothing beyond the value is touched, at an odd address. */
	EXPECT(read(buf + 1, sizeof(buf) - 1, &len) == 0);
	EXPECT(buf[0] == 0xa5);
	EXPECT(all(buf + 1 + len, sizeof(buf) - 1 - len, 0xa5));
	return true;
}

bool fits_exactly_or_not_at_all(reader read)
{
	size_t len = 0;
	size_t again = 0;

	EXPECT(read(NULL, 0, &len) == -ENOBUFS);
	memset(buf, 0xa5, sizeof(buf));
	EXPECT(read(buf, len - 1, &again) == -ENOBUFS);
	EXPECT(again == len);
	EXPECT(all(buf, sizeof(buf), 0xa5));
	EXPECT(read(buf, len, &again) == 0);
	EXPECT(again == len);
	EXPECT(all(buf + len, sizeof(buf) - len, 0xa5));
	return true;
}

/*
 * Slots
 */

bool lists_every_slot_once(void)
{
	struct devid_slot_info info;
	struct devid_slot_info same;
	bool seen[256] = {false};
	uint8_t id;
	size_t count = 0;

	while (devid_slot_at(count, &info) == 0) {
		EXPECT(!seen[info.id]);
		seen[info.id] = true;
		EXPECT(info.state == DEVID_SLOT_EMPTY && info.len == 0 && info.generation == 0);
		EXPECT(info.max_len > 0);
		EXPECT(info.name[DEVID_NAME_SIZE - 1] == '\0');
		EXPECT(devid_slot_find(info.name, &id) == 0 && id == info.id);
		EXPECT(devid_slot_info(info.id, &same) == 0);
		EXPECT(memcmp(same.name, info.name, sizeof(info.name)) == 0);
		count++;
	}
	EXPECT(count == 8);
	EXPECT(devid_slot_at(count, &info) == -ENOENT);
	EXPECT(devid_slot_at(SIZE_MAX, &info) == -ENOENT);
	return true;
}

bool refuses_bad_arguments_about_slots(void)
{
	static struct devid_slot_info infos[2];
	struct devid_slot_info *unaligned = (struct devid_slot_info *)((uint8_t *)infos + 1);
	uint8_t id = 0x77;

	EXPECT(devid_slot_at(0, NULL) == -EINVAL);
	EXPECT(devid_slot_at(0, unaligned) == -EINVAL);
	EXPECT(devid_slot_info(SERIAL, NULL) == -EINVAL);
	EXPECT(devid_slot_info(SERIAL, unaligned) == -EINVAL);
	EXPECT(devid_slot_info(UNKNOWN, &infos[0]) == -ENXIO);
	EXPECT(devid_slot_find(NULL, &id) == -EINVAL);
	EXPECT(devid_slot_find("serial", NULL) == -EINVAL);
	EXPECT(devid_slot_find("serial ", &id) == -ENXIO);
	EXPECT(devid_slot_find("", &id) == -ENXIO);
	EXPECT(devid_slot_find("a-name-longer-than-any-slot-can-have", &id) == -EINVAL);
	EXPECT(devid_slot_find("\xff", &id) == -ENXIO);
	EXPECT(id == 0x77);
	return true;
}

bool a_value_reads_back_at_every_edge_of_its_length(void)
{
	static const size_t lengths[] = {1, 2, 31, SERIAL_MAX - 1, SERIAL_MAX};
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		fill(value, lengths[i], (uint8_t)i);
		EXPECT(devid_slot_write(SERIAL, value, lengths[i]) == 0);
		EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == 0);
		EXPECT(len == lengths[i] && memcmp(buf, value, len) == 0);
	}
	return true;
}

bool refuses_a_value_one_byte_over_the_limit(void)
{
	size_t len;

	fill(value, SERIAL_MAX + 1, 1);
	EXPECT(devid_slot_write(SERIAL, value, SERIAL_MAX) == 0);
	EXPECT(devid_slot_write(SERIAL, value + 1, SERIAL_MAX + 1) == -EFBIG);
	EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == 0);
	EXPECT(len == SERIAL_MAX && memcmp(buf, value, len) == 0);
	return true;
}

bool refuses_bad_arguments_to_write(void)
{
	size_t len;

	EXPECT(devid_slot_write(SERIAL, (const uint8_t *)"kept", 4) == 0);
	EXPECT(devid_slot_write(SERIAL, NULL, 4) == -EINVAL);
	EXPECT(devid_slot_write(SERIAL, value, 0) == -EINVAL);
	EXPECT(devid_slot_write(SERIAL, value, SIZE_MAX) == -EINVAL);
	EXPECT(devid_slot_write(UNKNOWN, value, 1) == -ENXIO);
	EXPECT(devid_slot_write(IDEVID, value, 1) == -ENOTSUP);
	EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == 0);
	EXPECT(len == 4 && memcmp(buf, "kept", 4) == 0);
	return true;
}

static int read_serial(uint8_t *out, size_t size, size_t *len)
{
	return devid_slot_read(SERIAL, out, size, len);
}

bool refuses_bad_buffers_for_a_value(void)
{
	EXPECT(devid_slot_write(SERIAL, (const uint8_t *)"0123456789abcdef", 16) == 0);
	return bad_buffers_are_refused(read_serial) && fits_exactly_or_not_at_all(read_serial);
}

bool an_unaligned_value_is_taken(void)
{
	size_t len;

	fill(value, SECRET_MAX + 1, 3);
	for (size_t offset = 0; offset < 4; offset++) {
		EXPECT(devid_slot_write(SERIAL, value + offset, 17) == 0);
		EXPECT(devid_slot_read(SERIAL, buf + offset, sizeof(buf) - offset, &len) == 0);
		EXPECT(len == 17 && memcmp(buf + offset, value + offset, 17) == 0);
	}
	return true;
}

bool reading_an_empty_or_unknown_slot_fails(void)
{
	size_t len = 7;

	EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_slot_read(UNKNOWN, buf, sizeof(buf), &len) == -ENXIO);
	EXPECT(devid_id_chain(SERIAL, buf, sizeof(buf), &len) == -ENOTSUP);
	EXPECT(devid_id_chain(IDEVID, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_id_certificate(SERIAL, 0, buf, sizeof(buf), &len) == -ENOTSUP);
	EXPECT(devid_id_certificate(IDEVID, 0, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(len == 7);
	return true;
}

bool many_rewrites_leave_one_value(void)
{
	struct devid_slot_info info;
	size_t len;

	for (uint8_t i = 1; i <= 25; i++) {
		fill(value, SECRET_MAX, i);
		EXPECT(devid_slot_write(SECRET, value, SECRET_MAX - i) == 0);
		EXPECT(devid_slot_info(SECRET, &info) == 0);
		EXPECT(info.state == DEVID_SLOT_PRESENT);
		EXPECT(info.generation == i && info.len == (uint32_t)(SECRET_MAX - i));
	}
	EXPECT(devid_slot_read(SECRET, buf, sizeof(buf), &len) == 0);
	EXPECT(len == SECRET_MAX - 25 && memcmp(buf, value, len) == 0);
	return true;
}

bool erase_empties_one_slot_alone(void)
{
	size_t len;

	EXPECT(devid_slot_write(SERIAL, (const uint8_t *)"serial", 6) == 0);
	EXPECT(devid_slot_write(SECRET, (const uint8_t *)"secret", 6) == 0);
	EXPECT(devid_slot_erase(SERIAL) == 0);
	EXPECT(devid_slot_erase(SERIAL) == -ENOENT);
	EXPECT(devid_slot_erase(UNKNOWN) == -ENXIO);
	EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_slot_read(SECRET, buf, sizeof(buf), &len) == 0);
	EXPECT(len == 6 && memcmp(buf, "secret", 6) == 0);
	return true;
}

bool an_anchor_is_one_ca_certificate(void)
{
	uint8_t point[65];
	struct certificate root = {.subject = "root", .issuer = "root", .point = point, .ca = true};
	size_t len;
	size_t read;

	EXPECT(contract_key_point(0, point));
	len = issue(&root, value, sizeof(value));
	EXPECT(len > 0);
	EXPECT(devid_slot_write(ANCHOR, value, len) == 0);
	EXPECT(devid_id_certificate(ANCHOR, 0, buf, sizeof(buf), &read) == 0);
	EXPECT(read == len && memcmp(buf, value, len) == 0);
	EXPECT(devid_id_certificate(ANCHOR, 1, buf, sizeof(buf), &read) == -ENOENT);

	EXPECT(devid_slot_write(ANCHOR, value, len - 1) == -EBADMSG);
	value[len] = 0;
	EXPECT(devid_slot_write(ANCHOR, value, len + 1) == -EBADMSG);
	root.ca = false;
	len = issue(&root, value, sizeof(value));
	EXPECT(devid_slot_write(ANCHOR, value, len) == -EPERM);
	EXPECT(devid_slot_write(ANCHOR, (const uint8_t *)"text", 4) == -EBADMSG);
	EXPECT(devid_id_certificate(ANCHOR, 0, buf, sizeof(buf), &read) == 0);
	return true;
}

/*
 * Identities
 */

bool generated(uint8_t slot, uint8_t point[65])
{
	uint8_t spki[91];
	size_t len;

	EXPECT(devid_id_generate(slot) == 0);
	EXPECT(devid_id_public_key(slot, spki, sizeof(spki), &len) == 0);
	EXPECT(len == sizeof(spki) && spki[26] == 0x04);
	memcpy(point, spki + 26, 65);
	return true;
}

bool prepare(struct chain *chain, const uint8_t *point)
{
	memset(chain, 0, sizeof(*chain));
	EXPECT(contract_key_point(0, chain->ca_point));
	EXPECT(contract_key_point(1, chain->root_point));
	chain->leaf = (struct certificate){
		.subject = "leaf", .issuer = "ca", .point = point, .signer = 0};
	chain->ca = (struct certificate){.subject = "ca",
					 .issuer = "root",
					 .point = chain->ca_point,
					 .signer = 1,
					 .ca = true};
	chain->root = (struct certificate){.subject = "root",
					   .issuer = "root",
					   .point = chain->root_point,
					   .signer = 1,
					   .ca = true};
	return true;
}

size_t issue_chain(const struct chain *chain)
{
	const struct certificate *certificates[] = {&chain->leaf, &chain->ca, &chain->root};
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(certificates); i++) {
		size_t one = issue(certificates[i], value + len, sizeof(value) - len);

		if (one == 0) {
			return 0;
		}
		len += one;
	}
	return len;
}

bool an_identity_needs_its_key_first(void)
{
	size_t len;

	EXPECT(devid_id_public_key(IDEVID, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_id_csr(IDEVID, NULL, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_id_install(IDEVID, value, 1, DEVID_NO_TIME, NULL) == -ENOENT);
	EXPECT(devid_slot_erase(IDEVID) == -ENOENT);
	EXPECT(devid_id_generate(SERIAL) == -ENOTSUP);
	EXPECT(devid_id_generate(UNKNOWN) == -ENXIO);
	EXPECT(devid_id_public_key(SERIAL, buf, sizeof(buf), &len) == -ENOTSUP);
	EXPECT(devid_id_csr(SERIAL, NULL, buf, sizeof(buf), &len) == -ENOTSUP);
	return true;
}

bool a_key_is_never_overwritten(void)
{
	uint8_t before[91];
	uint8_t after[91];
	size_t len;

	EXPECT(devid_id_generate(IDEVID) == 0);
	EXPECT(devid_id_public_key(IDEVID, before, sizeof(before), &len) == 0);
	EXPECT(devid_id_generate(IDEVID) == -EEXIST);
	EXPECT(devid_id_public_key(IDEVID, after, sizeof(after), &len) == 0);
	EXPECT(memcmp(before, after, sizeof(before)) == 0);
	EXPECT(devid_slot_erase(IDEVID) == 0);
	EXPECT(devid_id_generate(IDEVID) == 0);
	EXPECT(devid_id_public_key(IDEVID, after, sizeof(after), &len) == 0);
	EXPECT(memcmp(before, after, sizeof(before)) != 0);
	return true;
}

static int read_public_key(uint8_t *out, size_t size, size_t *len)
{
	return devid_id_public_key(IDEVID, out, size, len);
}

bool refuses_bad_buffers_for_a_public_key(void)
{
	EXPECT(devid_id_generate(IDEVID) == 0);
	return bad_buffers_are_refused(read_public_key) &&
	       fits_exactly_or_not_at_all(read_public_key);
}

static int read_csr(uint8_t *out, size_t size, size_t *len)
{
	return devid_id_csr(IDEVID, NULL, out, size, len);
}

bool refuses_bad_buffers_for_a_request(void)
{
	EXPECT(devid_id_generate(IDEVID) == 0);
	return bad_buffers_are_refused(read_csr);
}

bool a_request_holds_key_and_subject(void)
{
	static const char longest[] =
		"0123456789012345678901234567890123456789012345678901234567890123";
	struct devid_subject subject = {
		.common_name = "dev\xc3\xaf" "ce", .serial_number = "SN-0001", .organization = longest};
	uint8_t point[65];
	size_t len;

	EXPECT(generated(IDEVID, point));
	EXPECT(devid_id_csr(IDEVID, &subject, buf, DEVID_CSR_MAX_LEN, &len) == 0);
	EXPECT(buf[0] == 0x30 && buf[1] == 0x82 && len == 4u + ((size_t)buf[2] << 8) + buf[3]);
	EXPECT(contains(buf, len, point, sizeof(point)));
	EXPECT(contains(buf, len, (const uint8_t *)"dev\xc3\xaf" "ce", 7));
	EXPECT(contains(buf, len, (const uint8_t *)"SN-0001", 7));
	EXPECT(contains(buf, len, (const uint8_t *)longest, 64));
	return true;
}

/* Of 64 characters each: four bytes long, or one where no more is allowed. */
static void longest_subject(struct devid_subject *subject)
{
	static char wide[64 * 4 + 1];
	static char narrow[64 + 1];

	for (size_t i = 0; i < 64; i++) {
		memcpy(&wide[4 * i], "\xf0\x9d\x95\x8f", 4);
	}
	memset(narrow, '9', 64);
	*subject = (struct devid_subject){
		.common_name = wide, .serial_number = narrow, .organization = wide};
}

bool the_longest_request_is_as_long_as_the_header_says(void)
{
	static const uint8_t challenge[32];
	struct devid_subject subject;
	size_t longest = 0;
	size_t evidence;
	size_t len;

	longest_subject(&subject);
	EXPECT(devid_id_generate(IDEVID) == 0);
	/* One signature in four is of the longest. */
	for (size_t i = 0; i < 8; i++) {
		EXPECT(devid_id_csr(IDEVID, &subject, buf, DEVID_CSR_MAX_LEN, &len) == 0);
		EXPECT(len > DEVID_CSR_MAX_LEN - 8);
		longest = len > longest ? len : longest;
	}
	EXPECT(longest <= DEVID_CSR_MAX_LEN);
	if (!contract_attests) {
		return true;
	}
	EXPECT(devid_bound_evidence(IDEVID, challenge, 32, NULL, 0, &evidence) == -ENOBUFS);
	EXPECT(devid_id_csr_with_evidence(
		       IDEVID, &subject, challenge, 32, buf,
		       DEVID_CSR_MAX_LEN + DEVID_CSR_EVIDENCE_OVERHEAD + evidence, &len) == 0);
	EXPECT(len > DEVID_CSR_MAX_LEN - 8 + DEVID_CSR_EVIDENCE_OVERHEAD + evidence);
	return true;
}

bool the_size_asked_for_takes_a_request_again(void)
{
	static const uint8_t challenge[32];
	size_t size;
	size_t len;

	EXPECT(devid_id_generate(IDEVID) == 0);
	for (size_t i = 0; i < 16; i++) {
		EXPECT(devid_id_csr(IDEVID, NULL, NULL, 0, &size) == -ENOBUFS);
		EXPECT(devid_id_csr(IDEVID, NULL, buf, size, &len) == 0 && len <= size);
	}
	if (!contract_attests) {
		return true;
	}
	EXPECT(devid_id_csr_with_evidence(IDEVID, NULL, challenge, 32, NULL, 0, &size) ==
	       -ENOBUFS);
	EXPECT(devid_id_csr_with_evidence(IDEVID, NULL, challenge, 32, buf, size, &len) == 0);
	return true;
}

bool refuses_a_bad_subject(void)
{
	static const char too_long[] =
		"01234567890123456789012345678901234567890123456789012345678901234";
	static struct devid_subject subjects[2];
	struct devid_subject subject = {.common_name = too_long};
	size_t len = 7;

	EXPECT(devid_id_generate(IDEVID) == 0);
	EXPECT(devid_id_csr(IDEVID, &subject, buf, sizeof(buf), &len) == -EINVAL);
	subject = (struct devid_subject){.serial_number = too_long};
	EXPECT(devid_id_csr(IDEVID, &subject, buf, sizeof(buf), &len) == -EINVAL);
	subject = (struct devid_subject){.serial_number = "no_underscore"};
	EXPECT(devid_id_csr(IDEVID, &subject, buf, sizeof(buf), &len) == -EINVAL);
	subject = (struct devid_subject){.organization = "\xc3"};
	EXPECT(devid_id_csr(IDEVID, &subject, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(devid_id_csr(IDEVID, (struct devid_subject *)((uint8_t *)subjects + 1), buf,
			    sizeof(buf), &len) == -EINVAL);
	EXPECT(len == 7);
	return true;
}

bool a_chain_reads_back_whole_and_per_certificate(void)
{
	struct devid_checked checked = {0};
	struct chain chain;
	uint8_t point[65];
	size_t total;
	size_t offset = 0;
	size_t len;

	EXPECT(generated(IDEVID, point));
	EXPECT(prepare(&chain, point));
	total = issue_chain(&chain);
	EXPECT(total > 0);
	EXPECT(devid_id_install(IDEVID, value, total, DEVID_NO_TIME, &checked) == 0);
	EXPECT(checked.certificates == 3 && !checked.validity_checked);

	EXPECT(devid_id_chain(IDEVID, buf, sizeof(buf), &len) == 0);
	EXPECT(len == total && memcmp(buf, value, total) == 0);
	for (size_t i = 0; i < 3; i++) {
		EXPECT(devid_id_certificate(IDEVID, i, buf, sizeof(buf), &len) == 0);
		EXPECT(offset + len <= total && memcmp(buf, value + offset, len) == 0);
		offset += len;
	}
	EXPECT(offset == total);
	EXPECT(devid_id_certificate(IDEVID, 3, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_id_certificate(IDEVID, SIZE_MAX, buf, sizeof(buf), &len) == -ENOENT);
	return true;
}

static int read_chain(uint8_t *out, size_t size, size_t *len)
{
	return devid_id_chain(IDEVID, out, size, len);
}

static int read_leaf(uint8_t *out, size_t size, size_t *len)
{
	return devid_id_certificate(IDEVID, 0, out, size, len);
}

bool refuses_bad_buffers_for_certificates(void)
{
	struct chain chain;
	uint8_t point[65];

	EXPECT(generated(IDEVID, point));
	EXPECT(prepare(&chain, point));
	EXPECT(devid_id_install(IDEVID, value, issue_chain(&chain), DEVID_NO_TIME, NULL) == 0);
	return bad_buffers_are_refused(read_chain) && fits_exactly_or_not_at_all(read_chain) &&
	       bad_buffers_are_refused(read_leaf) && fits_exactly_or_not_at_all(read_leaf);
}

bool validity_is_checked_when_a_time_is_given(void)
{
	const int64_t in_2021 = 1609459200;
	struct devid_checked checked = {0};
	struct devid_error error;
	struct chain chain;
	uint8_t point[65];
	size_t len;

	EXPECT(generated(IDEVID, point));
	EXPECT(prepare(&chain, point));
	chain.leaf.not_before = "210101000000Z";
	chain.leaf.not_after = "211231235959Z";
	len = issue_chain(&chain);
	EXPECT(devid_id_install(IDEVID, value, len, in_2021, &checked) == 0);
	EXPECT(checked.certificates == 3 && checked.validity_checked);
	EXPECT(devid_id_install(IDEVID, value, len, in_2021 - 1, NULL) == -EPERM);
	EXPECT(devid_last_error(&error) == 0 && error.code == 12 && error.detail == 7);
	EXPECT(devid_id_install(IDEVID, value, len, in_2021 + 365 * 86400, NULL) == -EPERM);
	EXPECT(devid_last_error(&error) == 0 && error.code == 12 && error.detail == 8);
	EXPECT(devid_id_install(IDEVID, value, len, DEVID_NO_TIME, &checked) == 0);
	EXPECT(!checked.validity_checked);
	return true;
}

/* Installs what chain describes and expects a refusal for that reason. */
static bool refused(const struct chain *chain, int32_t reason)
{
	struct devid_error error;
	size_t len = issue_chain(chain);

	EXPECT(len > 0);
	EXPECT(devid_id_install(IDEVID, value, len, DEVID_NO_TIME, NULL) == -EPERM);
	EXPECT(devid_last_error(&error) == 0);
	EXPECT(error.code == 12 && error.detail == reason);
	return true;
}

bool refuses_wrong_chains_and_keeps_the_old_one(void)
{
	static uint8_t kept[CHAIN_MAX];
	struct chain good;
	struct chain bad;
	uint8_t point[65];
	size_t len;
	size_t read;

	EXPECT(generated(IDEVID, point));
	EXPECT(prepare(&good, point));
	len = issue_chain(&good);
	EXPECT(len > 0);
	memcpy(kept, value, len);
	EXPECT(devid_id_install(IDEVID, value, len, DEVID_NO_TIME, NULL) == 0);

	/* The numbers are those of enum Refusal in crates/core/src/error.rs. */
	bad = good;
	bad.leaf.point = good.ca_point;
	EXPECT(refused(&bad, 1));
	bad = good;
	bad.leaf.issuer = "another";
	EXPECT(refused(&bad, 2));
	bad = good;
	bad.leaf.wrong_signature = true;
	EXPECT(refused(&bad, 3));
	bad = good;
	bad.ca.wrong_signature = true;
	EXPECT(refused(&bad, 3));
	bad = good;
	bad.ca.ca = false;
	EXPECT(refused(&bad, 4));
	bad = good;
	bad.leaf.wrong_curve = true;
	EXPECT(refused(&bad, 11));

	EXPECT(devid_id_chain(IDEVID, buf, sizeof(buf), &read) == 0);
	EXPECT(read == len && memcmp(buf, kept, len) == 0);
	return true;
}

bool refuses_malformed_chains(void)
{
	struct chain chain;
	uint8_t point[65];
	size_t len;

	EXPECT(generated(IDEVID, point));
	EXPECT(prepare(&chain, point));
	len = issue_chain(&chain);
	EXPECT(len > 0 && len < CHAIN_MAX);
	EXPECT(devid_id_install(IDEVID, value, len - 1, DEVID_NO_TIME, NULL) == -EBADMSG);
	EXPECT(devid_id_install(IDEVID, value, 1, DEVID_NO_TIME, NULL) == -EBADMSG);
	EXPECT(devid_id_install(IDEVID, value, 0, DEVID_NO_TIME, NULL) == -EINVAL);
	EXPECT(devid_id_install(IDEVID, NULL, len, DEVID_NO_TIME, NULL) == -EINVAL);
	EXPECT(devid_id_install(IDEVID, value, len, DEVID_NO_TIME,
				(struct devid_checked *)0) == 0);
	value[len] = 0;
	EXPECT(devid_id_install(IDEVID, value, len + 1, DEVID_NO_TIME, NULL) == -EBADMSG);
	memset(value + len, 0x30, sizeof(value) - len);
	EXPECT(devid_id_install(IDEVID, value, CHAIN_MAX + 1, DEVID_NO_TIME, NULL) == -EFBIG);
	return true;
}

bool erasing_an_identity_takes_key_and_chain(void)
{
	struct chain chain;
	uint8_t point[65];
	size_t len;

	EXPECT(generated(IDEVID, point));
	EXPECT(prepare(&chain, point));
	EXPECT(devid_id_install(IDEVID, value, issue_chain(&chain), DEVID_NO_TIME, NULL) == 0);
	EXPECT(devid_slot_erase(IDEVID) == 0);
	EXPECT(devid_id_public_key(IDEVID, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_id_chain(IDEVID, buf, sizeof(buf), &len) == -ENOENT);
	return true;
}

/*
 * Attestation
 */

static const uint8_t challenge[64] = {0xc0, 0xff, 0xee};

bool challenges_have_three_lengths(void)
{
	static const size_t good[] = {32, 48, 64};
	static const size_t bad[] = {1, 31, 33, 47, 49, 63, 65, SIZE_MAX};
	static const uint8_t longer[65];
	size_t len = 7;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT(devid_token_len(bad[i], &len) == -EINVAL);
		EXPECT(devid_token(longer, bad[i], buf, sizeof(buf), &len) == -EINVAL);
		EXPECT(devid_evidence(longer, bad[i], buf, sizeof(buf), &len) == -EINVAL);
	}
	EXPECT(devid_token_len(0, &len) == -EINVAL);
	EXPECT(devid_token_len(32, NULL) == -EINVAL);
	EXPECT(devid_token(NULL, 32, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(devid_token(challenge, 0, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(len == 7);

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		int expected = contract_attests ? 0 : -ENOTSUP;
		size_t token_len = 0;

		EXPECT(devid_token_len(good[i], &token_len) == expected);
		EXPECT(devid_token(challenge, good[i], buf, sizeof(buf), &len) == expected);
		if (contract_attests) {
			EXPECT(len == token_len);
			EXPECT(buf[0] == 0xd2 && contains(buf, len, challenge, good[i]));
		}
	}
	return true;
}

static int read_token(uint8_t *out, size_t size, size_t *len)
{
	return devid_token(challenge, 32, out, size, len);
}

static int read_evidence(uint8_t *out, size_t size, size_t *len)
{
	return devid_evidence(challenge, 32, out, size, len);
}

static int read_iak(uint8_t *out, size_t size, size_t *len)
{
	return devid_iak_public_key(out, size, len);
}

bool refuses_bad_buffers_for_evidence(void)
{
	size_t len;

	if (!contract_attests) {
		EXPECT(read_token(buf, sizeof(buf), &len) == -ENOTSUP);
		EXPECT(read_evidence(buf, sizeof(buf), &len) == -ENOTSUP);
		EXPECT(read_iak(buf, sizeof(buf), &len) == -ENOTSUP);
		return true;
	}
	EXPECT(bad_buffers_are_refused(read_token));
	EXPECT(bad_buffers_are_refused(read_evidence));
	EXPECT(bad_buffers_are_refused(read_iak) && fits_exactly_or_not_at_all(read_iak));
	return true;
}

bool refuses_a_challenge_inside_the_buffer(void)
{
	size_t len;

	memset(buf, 0x5a, sizeof(buf));
	EXPECT(devid_token(buf, 32, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(devid_token(buf + sizeof(buf) - 32, 32, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(devid_evidence(buf + 1, 64, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(devid_token((const uint8_t *)&len, 32, buf, sizeof(buf), &len) == -EINVAL);
	EXPECT(all(buf, sizeof(buf), 0x5a));
	return true;
}

bool evidence_carries_the_attestation_keys_chain(void)
{
	struct chain chain;
	uint8_t spki[91];
	size_t chain_len;
	size_t token_len;
	size_t leaf_len;
	size_t len;

	if (!contract_attests) {
		/* No attestation key to compare: any sound chain is taken. */
		EXPECT(devid_evidence(challenge, 32, buf, sizeof(buf), &len) == -ENOTSUP);
		return true;
	}
	EXPECT(devid_iak_public_key(spki, sizeof(spki), &len) == 0 && len == sizeof(spki));
	EXPECT(prepare(&chain, spki + 26));
	chain_len = issue_chain(&chain);
	EXPECT(chain_len > 0);
	EXPECT(devid_slot_write(IAK, value, chain_len) == 0);
	EXPECT(devid_id_certificate(IAK, 0, buf, sizeof(buf), &leaf_len) == 0);

	EXPECT(devid_token(challenge, 32, buf, sizeof(buf), &token_len) == 0);
	EXPECT(devid_evidence(challenge, 32, buf, sizeof(buf), &len) == 0);
	EXPECT(buf[0] == 0xd2);
	EXPECT(len > token_len + chain_len && len <= token_len + chain_len + 16);
	EXPECT(contains(buf, len, value, leaf_len));
	EXPECT(contains(buf, len, challenge, 32));

	chain.leaf.point = chain.root_point;
	chain_len = issue_chain(&chain);
	EXPECT(devid_slot_write(IAK, value, chain_len) == -EPERM);
	return true;
}

bool the_last_error_keeps_its_detail(void)
{
	struct devid_error errors[2];
	size_t len;

	EXPECT(devid_slot_write(SERIAL, value, SERIAL_MAX + 1) == -EFBIG);
	EXPECT(devid_last_error(&errors[0]) == 0);
	EXPECT(errors[0].code == 5 && errors[0].detail == SERIAL_MAX);
	EXPECT(devid_last_error(NULL) == -EINVAL);
	EXPECT(devid_last_error((struct devid_error *)((uint8_t *)errors + 1)) == -EINVAL);
	EXPECT(devid_slot_read(SERIAL, buf, sizeof(buf), &len) == -ENOENT);
	EXPECT(devid_last_error(&errors[0]) == 0);
	EXPECT(errors[0].code == 2 && errors[0].detail == 0);
	return true;
}

#define CASE(function) {#function, function},
const struct contract_case contract_cases[] = {
#include "cases.inc"
};
#undef CASE
const size_t contract_case_count = ARRAY_LEN(contract_cases);

bool contract_run(const struct contract_case *contract_case)
{
	struct devid_slot_info info;
	bool locked = false;

	EXPECT(devid_is_locked(&locked) == 0);
	for (size_t i = 0; devid_slot_at(i, &info) == 0; i++) {
		const bool is_final = locked && !info.operational;
		int result;

		if (info.kind == DEVID_KIND_IDENTITY) {
			(void)devid_id_rollback(info.id);
		}
		result = devid_slot_erase(info.id);
		if (result != 0 && result != -ENOENT && !(result == -EACCES && is_final)) {
			contract_failed(__FILE__, __LINE__, "every slot can be emptied");
			return false;
		}
	}
	return contract_case->run();
}
