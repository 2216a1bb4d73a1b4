/* SPDX-License-Identifier: Apache-2.0 */
#include <zephyr/sys/printk.h>

#include <devid/devid.h>

/* mcumgr does the work; all that is left is to open the device before its first command. */
int main(void)
{
	int ret = devid_init();

	printk("devid: %d\n", ret);
	return ret;
}
