/* SPDX-License-Identifier: Apache-2.0 */
/* An application with slots of its own, in internal trusted storage. */
#include <string.h>

#include <zephyr/sys/printk.h>

#include <devid/devid.h>

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
	return 0;
}
