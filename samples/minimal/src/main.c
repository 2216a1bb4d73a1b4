/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what a factory provisioned and proves what runs here, once, at boot. A
 * device in the field would send these bytes to a verifier instead of printing.
 */
#include <errno.h>

#include <zephyr/sys/base64.h>
#include <zephyr/sys/printk.h>

#include <devid/devid.h>

/* Bytes of a printed line: a multiple of three, so that no line has padding but the last. */
#define LINE_LEN 48

/* Prints a value as base64 lines that a script can join. */
static void print_value(const char *prefix, const uint8_t *value, size_t len)
{
	char line[LINE_LEN / 3 * 4 + 1];
	size_t written;

	for (size_t at = 0; at < len; at += LINE_LEN) {
		const size_t part = len - at < LINE_LEN ? len - at : LINE_LEN;

		base64_encode(line, sizeof(line), &written, value + at, part);
		printk("%s: %s\n", prefix, line);
	}
	printk("%s-END: %zu\n", prefix, len);
}

int main(void)
{
	static uint8_t value[2304];
	/* A verifier's, fresh for each evidence; without one this proves nothing of today. */
	const uint8_t challenge[32] = {0};
	uint8_t idevid;
	size_t len;
	int ret;

	ret = devid_slot_find("idevid", &idevid);
	if (ret == 0) {
		ret = devid_id_chain(idevid, value, sizeof(value), &len);
	}
	if (ret == 0) {
		print_value("CHAIN", value, len);
	} else if (ret == -ENOENT) {
		printk("CHAIN: none, the device was not provisioned\n");
	} else {
		printk("CHAIN: error %d\n", ret);
	}

	ret = devid_evidence(challenge, sizeof(challenge), value, sizeof(value), &len);
	if (ret == 0) {
		print_value("EVIDENCE", value, len);
	} else if (ret == -ENOTSUP) {
		printk("EVIDENCE: none, this build has no attestation\n");
	} else {
		printk("EVIDENCE: error %d\n", ret);
	}
	printk("DONE\n");
	return 0;
}
