/* SPDX-License-Identifier: Apache-2.0 */
#include <zephyr/sys/printk.h>

#include <devid/devid.h>

/* The shell does the work; all that is left is to open the device before its first command. */
int main(void)
{
	int ret = devid_init();

	if (ret != 0) {
		printk("devid: %d\n", ret);
	}
	return ret;
}
