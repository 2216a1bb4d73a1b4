/* SPDX-License-Identifier: Apache-2.0 */
/* An application with slots of its own, in internal trusted storage, and with its own header for
 * TF-M.
 */
#include <string.h>

#include <psa/crypto.h>
#include <zephyr/sys/printk.h>
#include <zephyr/sys/util.h>

#include <devid/devid.h>

/* How many hash operations can be under way at once, up to 10. */
static size_t operations_at_once(void)
{
	psa_hash_operation_t operations[10];
	size_t begun = 0;

	(void)psa_crypto_init();
	memset(operations, 0, sizeof(operations));
	while (begun < ARRAY_SIZE(operations) &&
	       psa_hash_setup(&operations[begun], PSA_ALG_SHA_256) == PSA_SUCCESS) {
		begun++;
	}
	for (size_t n = 0; n < begun; n++) {
		(void)psa_hash_abort(&operations[n]);
	}
	return begun;
}

int main(void)
{
	static uint8_t value[1000];
	static uint8_t back[1000];
	struct devid_slot_info info;
	uint8_t batch;
	size_t len;
	size_t slots = 0;
	int ret;

	while (devid_slot_at(slots, &info) == 0) {
		slots++;
	}
	printk("SLOTS: %zu\n", slots);

	/* Longer than an asset of internal trusted storage: kept in parts. */
	memset(value, 0x5a, sizeof(value));
	ret = devid_slot_find("batch", &batch);
	if (ret == 0) {
		ret = devid_slot_write(batch, value, sizeof(value));
	}
	if (ret == 0) {
		ret = devid_slot_read(batch, back, sizeof(back), &len);
	}
	if (ret == 0 && (len != sizeof(value) || memcmp(value, back, len) != 0)) {
		ret = -1;
	}
	printk("BATCH: %d\n", ret);
	printk("OPERATIONS: %zu\n", operations_at_once());
	return 0;
}
